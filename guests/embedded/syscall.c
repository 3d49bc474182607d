/* What user programs can ask of the kernel. */
#include "syscall.h"
#include "memory.h"
#include "print.h"
#include "riscv.h"
#include "task.h"
#include "timer.h"

#define WRITE_MAX 128
#define ERROR (~0ul)

/* Prints the caller's text in one piece, so that lines of several programs do not mix. */
static u64 sys_write(u64 address, u64 length)
{
    char text[WRITE_MAX + 1];
    if (length > WRITE_MAX)
        length = WRITE_MAX;
    u64 stack = USER_STACK_TOP - USER_STACK_PAGES_MAX * PAGE_SIZE;
    bool in_image = address >= USER_BASE && address + length <= USER_BASE + user_image_bytes();
    bool in_stack = address >= stack && address + length <= USER_STACK_TOP;
    if (!in_image && !in_stack)
        return ERROR;
    csr_set(sstatus, SSTATUS_SUM);
    for (u64 i = 0; i < length; i++)
        text[i] = ((volatile char *)address)[i];
    csr_clear(sstatus, SSTATUS_SUM);
    text[length] = 0;
    print("%s", text);
    return length;
}

void syscall_handle(struct trap_frame *frame)
{
    switch (frame->a7) {
    case SYS_EXIT:
        task_exit();
    case SYS_WRITE:
        frame->a0 = sys_write(frame->a0, frame->a1);
        break;
    case SYS_SLEEP:
        task_sleep_until(time_now() + time_from_ms(frame->a0));
        frame->a0 = 0;
        break;
    case SYS_TIME:
        frame->a0 = time_now() * 1000000 / timer_frequency;
        break;
    case SYS_PID:
        frame->a0 = current()->pid;
        break;
    case SYS_YIELD:
        task_yield();
        frame->a0 = 0;
        break;
    default:
        frame->a0 = ERROR;
    }
}
