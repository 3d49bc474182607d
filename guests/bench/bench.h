/* What the workloads share. Each is a program of its own: main.c calls it on every hart, and prints a checksum. */
#ifndef BENCH_H
#define BENCH_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

#define HARTS_MAX 8

/* What the work is called, and how often the hart does it. */
extern const char work_name[];
u64 work_once(u64 hart, u64 round);
extern const u64 work_rounds;
/* 0 if only hart 0 works. */
extern const int work_parallel;

static inline u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void *memcpy(void *to, const void *from, u64 bytes);
void *memset(void *to, int byte, u64 bytes);

#endif
