/* Copies memory, aligned and not, in long and in short pieces. */
#include "bench.h"

#define BYTES (1 << 20)

const char work_name[] = "copy";
const u64 work_rounds = 500;
const int work_parallel = 0;

static u8 from[BYTES + 64] __attribute__((aligned(64)));
static u8 to[BYTES + 64] __attribute__((aligned(64)));

u64 work_once(u64 hart, u64 round)
{
    from[round] = (u8)(round + hart);
    memcpy(to, from, BYTES);
    memcpy(from + 8, to, BYTES);
    for (u32 at = 0; at + 96 < BYTES; at += 96)
        memcpy(to + at, from + at + 32, 64);
    memcpy(to + 1, from + 3, BYTES / 8);
    return to[round] + to[BYTES - 1] * 256ul;
}
