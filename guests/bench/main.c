/* Runs the workload's rounds and says what came out, on the serial port. */
#include "bench.h"

#define UART ((volatile u8 *)0x10000000)

static u64 totals[HARTS_MAX];
static u32 started, finished;

void *memcpy(void *to, const void *from, u64 bytes)
{
    u8 *t = to;
    const u8 *f = from;
    if ((((u64)t | (u64)f) & 7) == 0) {
        for (; bytes >= 32; bytes -= 32, t += 32, f += 32) {
            u64 a = ((const u64 *)f)[0], b = ((const u64 *)f)[1], c = ((const u64 *)f)[2], d = ((const u64 *)f)[3];
            ((u64 *)t)[0] = a, ((u64 *)t)[1] = b, ((u64 *)t)[2] = c, ((u64 *)t)[3] = d;
        }
    }
    while (bytes--)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int byte, u64 bytes)
{
    u8 *t = to;
    while (bytes--)
        *t++ = (u8)byte;
    return to;
}

static void say(const char *text)
{
    while (*text)
        *UART = (u8)*text++;
}

static void say_number(u64 value)
{
    char digits[17];
    for (int i = 15; i >= 0; i--, value >>= 4)
        digits[i] = "0123456789abcdef"[value & 15];
    digits[16] = 0;
    say(digits);
}

/* Returns to start.S with the hart's number: hart 0 comes last. */
u64 work(u64 hart)
{
    if (hart != 0 && !work_parallel)
        return hart;
    __atomic_fetch_add(&started, 1, __ATOMIC_ACQ_REL);
    u64 total = hart;
    for (u64 round = 0; round < work_rounds; round++)
        total = total * 31 + work_once(hart, round);
    totals[hart] = total;
    __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
    if (hart != 0)
        return hart;
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != __atomic_load_n(&started, __ATOMIC_ACQUIRE))
        ;
    for (u32 n = 1; n < HARTS_MAX; n++)
        total ^= totals[n];
    say("bench ");
    say(work_name);
    say(" done, checksum ");
    say_number(total);
    say("\n");
    return 0;
}
