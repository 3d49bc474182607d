/* Follows pointers through memory in an order that no cache foresees. */
#include "bench.h"

#define COUNT (1 << 19)

const char work_name[] = "chase";
const u64 work_rounds = 400;
const int work_parallel = 0;

static u64 *places[COUNT];

u64 work_once(u64 hart, u64 round)
{
    if (round == 0) {
        /* One cycle through all places, by Sattolo's shuffle. */
        static u32 order[COUNT];
        u64 random = 1 + hart;
        for (u32 i = 0; i < COUNT; i++)
            order[i] = i;
        for (u32 i = COUNT - 1; i > 0; i--) {
            u32 j = (u32)(next_random(&random) % i), swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        for (u32 i = 0; i < COUNT; i++)
            places[order[i]] = (u64 *)&places[order[(i + 1) % COUNT]];
    }
    u64 **at = (u64 **)&places[round];
    for (u32 i = 0; i < COUNT; i++)
        at = (u64 **)*at;
    return (u64)at;
}
