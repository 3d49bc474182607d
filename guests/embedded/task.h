/* Tasks: kernel threads and user programs, what they run on, and what they wait for. */
#pragma once

#include "hart.h"
#include "layout.h"
#include "list.h"
#include "lock.h"
#include "types.h"

#define TASKS_MAX 32
#define USER_STACK_PAGES_MAX 16

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_SLEEPING, TASK_FINISHED };

/* What task_switch keeps. */
struct context {
    u64 ra, sp, s[12];
};

/* What a trap saves; switch.S and trap.S know the layout. */
struct trap_frame {
    union {
        u64 x[32];
        struct {
            u64 pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
        };
    };
    u64 status;
    u64 unused; /* keeps the stack aligned to 16 bytes */
};

struct fpu {
    u64 f[32];
    u64 fcsr;
};

struct task {
    struct context context;
    struct fpu fpu;
    bool fpu_used;
    enum task_state state;
    u32 pid;
    u32 hart; /* where it runs or last ran */
    char name[16];
    struct list link;     /* in the run queue, a wait queue or the sleepers */
    u64 wake_time;        /* while sleeping */
    u64 *page_table;      /* NULL: the kernel's */
    u64 user_stack_pages; /* mapped so far */
    u64 switches;
};

/* Tasks that wait for the same thing. */
struct wait_queue {
    struct list tasks;
};

#define WAIT_QUEUE(queue) { LIST_EMPTY((queue).tasks) }

extern struct task tasks[TASKS_MAX];
extern u8 task_stacks[TASKS_MAX][TASK_STACK_SIZE];

/* One load, so that the answer is right even if the task moves to another hart around it. */
static inline struct task *current(void)
{
    struct task *task;
    asm volatile("ld %0, 0(tp)" : "=r"(task));
    return task;
}

void tasks_init(void);
void task_adopt_hart(struct hart *hart);

/* Both return the new task's pid, or 0 if there is no room. */
u32 task_start(const char *name, void (*entry)(u64), u64 argument);
u32 task_start_user(const char *name, u64 entry, u64 argument);

void task_exit(void) __attribute__((noreturn));
void task_join(u32 pid);
void task_yield(void);
void task_sleep_until(u64 time);

/* Gives up `lock` while asleep; as always with condition variables, test the condition again after. */
void wait_on(struct wait_queue *queue, struct lock *lock);
void wake_all(struct wait_queue *queue);

/* Moves sleepers whose time has come to the run queue; returns when the next one is due. */
u64 wake_sleepers(u64 now);

void idle_loop(void) __attribute__((noreturn));
const char *task_state_name(enum task_state state);
