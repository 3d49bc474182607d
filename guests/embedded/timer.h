/* Time, in ticks of the timebase, and the interrupts made from it. */
#pragma once

#include "types.h"

#define TIME_NEVER (~0ul)
#define SLICES_PER_SECOND 10000

/* Set from the device tree: ticks of the `time` CSR in a second. */
extern u64 timer_frequency;

u64 time_now(void);
u64 time_from_ms(u64 ms);

/* Arms this hart's timer for the end of a task's time slice, or for the first sleeper when idle. */
void timer_start_slice(void);
void timer_start_idle(void);

void timer_interrupt(void);
