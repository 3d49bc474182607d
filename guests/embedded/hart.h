/* One processor. In the kernel, register tp points at the running hart's structure. */
#pragma once

#include "board.h"
#include "types.h"

struct task;

struct hart {
    struct task *current;   /* trap.S and task.h know that these three come first */
    u64 kernel_stack;       /* top of the current task's, where a trap from user mode starts */
    u64 user_stack;         /* scratch for trap.S */
    u32 id;
    bool idle;              /* waiting for an interrupt; worth a kick when a task becomes ready */
    struct task *idle_task;
    struct task *finished; /* exited here, to be freed by whoever runs next */
    u64 ticks;
    u64 switches;
};

extern struct hart harts[HARTS_MAX];
extern u32 hart_count;

/* Meaningful while interrupts are off; otherwise the caller may have moved to another hart since. */
static inline struct hart *this_hart(void)
{
    struct hart *hart;
    asm volatile("mv %0, tp" : "=r"(hart));
    return hart;
}

/* Makes another hart take a software interrupt. */
void hart_kick(struct hart *hart);
