/* The workload: a writer sends letters to readers on all harts, while the timer samples what they do. */
#pragma once

#include "types.h"

void work_run(u32 letters, u64 seed);

/* Called at the end of each time slice, in the timer's interrupt. */
void work_sample(void);
