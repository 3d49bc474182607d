/*
 * The scheduler: one run queue for all harts, served in turn. A hart that finds it empty runs its idle
 * task, which waits for an interrupt. run_lock guards the run queue, the sleepers, every wait queue and
 * every task's state; it is held across task_switch and released by the task switched to.
 */
#include "memory.h"
#include "panic.h"
#include "print.h"
#include "string.h"
#include "task.h"
#include "timer.h"
#include "user.h"

#define STACK_GUARD 0x6b63617473676b63ul

struct task tasks[TASKS_MAX];
u8 task_stacks[TASKS_MAX][TASK_STACK_SIZE] __attribute__((aligned(4096)));

static struct lock run_lock;
static struct list run_queue = LIST_EMPTY(run_queue);
static struct list sleepers = LIST_EMPTY(sleepers); /* earliest first */
static struct wait_queue exits = WAIT_QUEUE(exits);
static u32 next_pid = 1;

_Static_assert(sizeof(struct hart) == HART_SIZE, "layout.h");
_Static_assert(offsetof(struct hart, current) == HART_CURRENT, "layout.h");
_Static_assert(offsetof(struct hart, kernel_stack) == HART_KERNEL_STACK, "layout.h");
_Static_assert(offsetof(struct hart, user_stack) == HART_USER_STACK, "layout.h");
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "layout.h");
_Static_assert(offsetof(struct trap_frame, status) == FRAME_STATUS, "layout.h");

void task_switch(struct context *from, struct context *to);
void task_entry(void);
void trap_return(void);
void fpu_save(struct fpu *fpu);
void fpu_load(const struct fpu *fpu);

static u64 *stack_guard(const struct task *task)
{
    return (u64 *)task_stacks[task - tasks];
}

static u8 *stack_top(const struct task *task)
{
    return task_stacks[task - tasks] + TASK_STACK_SIZE;
}

const char *task_state_name(enum task_state state)
{
    static const char *const names[] = { "free", "ready", "running", "blocked", "sleeping", "finished" };
    return names[state];
}

void tasks_init(void)
{
    for (u32 i = 0; i < TASKS_MAX; i++)
        list_init(&tasks[i].link);
}

/* Makes what runs on a hart from boot on its idle task. */
void task_adopt_hart(struct hart *hart)
{
    struct task *task = &tasks[hart->id];
    print_to(task->name, sizeof task->name, "idle%u", hart->id);
    task->state = TASK_RUNNING;
    task->hart = hart->id;
    *stack_guard(task) = STACK_GUARD;
    hart->idle_task = hart->current = task;
    hart->kernel_stack = (u64)stack_top(task);
}

/* Wakes one idle hart, if there is one, to look at the run queue. */
static void kick_idle_hart(void)
{
    for (u32 i = 0; i < hart_count; i++) {
        if (harts[i].idle && &harts[i] != this_hart()) {
            harts[i].idle = false;
            hart_kick(&harts[i]);
            return;
        }
    }
}

static void make_ready(struct task *task)
{
    task->state = TASK_READY;
    list_append(&run_queue, &task->link);
    kick_idle_hart();
}

static void switch_fpu(struct task *from, struct task *to)
{
    if ((csr_read(sstatus) & SSTATUS_FS) == SSTATUS_FS_DIRTY) {
        fpu_save(&from->fpu);
        from->fpu_used = true;
    }
    if (to->fpu_used)
        fpu_load(&to->fpu);
    csr_clear(sstatus, SSTATUS_FS);
    csr_set(sstatus, SSTATUS_FS_CLEAN);
}

/* Run by whoever comes after a task that exited on this hart, when its stack is no longer in use. */
static void free_finished_task(void)
{
    struct task *task = this_hart()->finished;
    if (!task)
        return;
    this_hart()->finished = NULL;
    if (task->page_table)
        user_space_free(task->page_table);
    task->page_table = NULL;
    task->state = TASK_FREE;
}

/* Runs the next ready task, or the idle task. Called and returns with run_lock held. */
static void schedule(void)
{
    struct hart *hart = this_hart();
    struct task *from = current();
    if (*stack_guard(from) != STACK_GUARD)
        panic("stack of task %u (%s) overflowed", from->pid, from->name);

    struct task *to = hart->idle_task;
    if (!list_empty(&run_queue))
        to = container_of(list_take_first(&run_queue), struct task, link);
    else if (from->state == TASK_RUNNING)
        return;
    if (from == hart->idle_task)
        from->state = TASK_READY;
    else if (from->state == TASK_RUNNING)
        make_ready(from);

    to->state = TASK_RUNNING;
    to->hart = hart->id;
    to->switches++;
    hart->switches++;
    hart->current = to;
    hart->kernel_stack = (u64)stack_top(to);
    switch_fpu(from, to);
    address_space_use(to->page_table);
    if (from == hart->idle_task)
        timer_start_slice();
    task_switch(&from->context, &to->context);
    free_finished_task();
}

/* A new task's first C code, entered from task_entry as if schedule() had returned. */
void task_begin(void (*entry)(u64), u64 argument)
{
    free_finished_task();
    lock_release(&run_lock);
    if (current()->page_table) {
        struct trap_frame *frame = (struct trap_frame *)(stack_top(current()) - sizeof *frame);
        memset(frame, 0, sizeof *frame);
        frame->pc = (u64)user_start;
        frame->sp = USER_STACK_TOP;
        frame->a0 = (u64)entry;
        frame->a1 = argument;
        frame->status = SSTATUS_SPIE | SSTATUS_FS_INITIAL;
        asm volatile("mv sp, %0\n\tj trap_return" ::"r"(frame) : "memory");
        __builtin_unreachable();
    }
    irq_restore(SSTATUS_SIE);
    entry(argument);
    task_exit();
}

static u32 start(const char *name, u64 entry, u64 argument, u64 *page_table)
{
    u64 interrupts = lock(&run_lock);
    u32 pid = 0;
    for (u32 i = hart_count; i < TASKS_MAX && !pid; i++) {
        struct task *task = &tasks[i];
        if (task->state != TASK_FREE)
            continue;
        pid = next_pid++;
        memset(task, 0, sizeof *task);
        task->pid = pid;
        string_copy(task->name, name, sizeof task->name);
        task->page_table = page_table;
        task->context.ra = (u64)task_entry;
        task->context.sp = (u64)stack_top(task);
        task->context.s[1] = entry;
        task->context.s[2] = argument;
        *stack_guard(task) = STACK_GUARD;
        make_ready(task);
    }
    unlock(&run_lock, interrupts);
    return pid;
}

u32 task_start(const char *name, void (*entry)(u64), u64 argument)
{
    return start(name, (u64)entry, argument, NULL);
}

u32 task_start_user(const char *name, u64 entry, u64 argument)
{
    u64 *page_table = user_space_new();
    if (!page_table)
        return 0;
    u32 pid = start(name, entry, argument, page_table);
    if (!pid)
        user_space_free(page_table);
    return pid;
}

void task_exit(void)
{
    lock(&run_lock);
    struct task *task = current();
    task->state = TASK_FINISHED;
    this_hart()->finished = task;
    while (!list_empty(&exits.tasks))
        make_ready(container_of(list_take_first(&exits.tasks), struct task, link));
    schedule();
    panic("task %u ran after it exited", task->pid);
}

static struct task *find_task(u32 pid)
{
    for (u32 i = hart_count; i < TASKS_MAX; i++)
        if (tasks[i].pid == pid && tasks[i].state != TASK_FREE && tasks[i].state != TASK_FINISHED)
            return &tasks[i];
    return NULL;
}

/* Puts the current task to sleep on a queue. Called and returns with run_lock held. */
static void block_on(struct wait_queue *queue)
{
    current()->state = TASK_BLOCKED;
    list_append(&queue->tasks, &current()->link);
    schedule();
}

/* Returns once no task of that pid runs. */
void task_join(u32 pid)
{
    u64 interrupts = lock(&run_lock);
    while (find_task(pid))
        block_on(&exits);
    unlock(&run_lock, interrupts);
}

void task_yield(void)
{
    u64 interrupts = lock(&run_lock);
    schedule();
    unlock(&run_lock, interrupts);
}

void task_sleep_until(u64 time)
{
    u64 interrupts = lock(&run_lock);
    struct list *place = sleepers.next;
    while (place != &sleepers && container_of(place, struct task, link)->wake_time <= time)
        place = place->next;
    current()->wake_time = time;
    current()->state = TASK_SLEEPING;
    list_append(place, &current()->link);
    schedule();
    unlock(&run_lock, interrupts);
}

u64 wake_sleepers(u64 now)
{
    u64 next = TIME_NEVER;
    u64 interrupts = lock(&run_lock);
    while (!list_empty(&sleepers)) {
        struct task *first = container_of(sleepers.next, struct task, link);
        if (first->wake_time > now) {
            next = first->wake_time;
            break;
        }
        list_remove(&first->link);
        make_ready(first);
    }
    unlock(&run_lock, interrupts);
    return next;
}

void wait_on(struct wait_queue *queue, struct lock *lock)
{
    lock_spin(&run_lock);
    lock_release(lock);
    block_on(queue);
    lock_release(&run_lock);
    lock_spin(lock);
}

void wake_all(struct wait_queue *queue)
{
    u64 interrupts = lock(&run_lock);
    while (!list_empty(&queue->tasks))
        make_ready(container_of(list_take_first(&queue->tasks), struct task, link));
    unlock(&run_lock, interrupts);
}

/*
 * What a hart does when there is nothing to do. Interrupts stay off between the last look at the run
 * queue and wfi, which returns when one is pending all the same; so no kick is ever lost.
 */
void idle_loop(void)
{
    for (;;) {
        irq_save();
        timer_start_idle();
        lock_spin(&run_lock);
        bool busy = !list_empty(&run_queue);
        this_hart()->idle = !busy;
        if (busy)
            schedule();
        lock_release(&run_lock);
        if (!busy)
            wait_for_interrupt();
        irq_restore(SSTATUS_SIE);
    }
}
