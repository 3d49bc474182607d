#pragma once

#include "task.h"

/* Called by trap.S for every trap into supervisor mode, with interrupts off. */
void trap_handle(struct trap_frame *frame, u64 cause, u64 value);
