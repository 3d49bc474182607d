/* All harts at once: each sorts words of its own, and they count in one place. */
#include "bench.h"

#define COUNT 4096

const char work_name[] = "parallel";
const u64 work_rounds = 240;
const int work_parallel = 1;

static u32 words[HARTS_MAX][COUNT];
static u64 swaps;

u64 work_once(u64 hart, u64 round)
{
    u32 *mine = words[hart];
    u64 random = round * 8 + hart + 1;
    for (u32 i = 0; i < COUNT; i++)
        mine[i] = (u32)next_random(&random);
    u64 count = 0;
    for (u32 gap = COUNT / 2; gap > 0; gap /= 2) {
        for (u32 i = gap; i < COUNT; i++) {
            u32 word = mine[i], j = i;
            for (; j >= gap && mine[j - gap] > word; j -= gap, count++)
                mine[j] = mine[j - gap];
            mine[j] = word;
        }
    }
    __atomic_fetch_add(&swaps, count, __ATOMIC_RELAXED);
    return mine[0] + mine[COUNT - 1] + count;
}
