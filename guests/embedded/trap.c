/* What each trap is, and who handles it. */
#include "trap.h"
#include "memory.h"
#include "panic.h"
#include "plic.h"
#include "print.h"
#include "riscv.h"
#include "syscall.h"
#include "timer.h"

#define SIP_SSIP (1ul << 1)

static void handle_interrupt(u64 cause)
{
    switch (cause) {
    case CAUSE_SOFTWARE: /* a kick: returning to the idle loop is all it asks for */
        csr_clear(sip, SIP_SSIP);
        break;
    case CAUSE_TIMER:
        timer_interrupt();
        if (current() != this_hart()->idle_task)
            task_yield();
        break;
    case CAUSE_EXTERNAL:
        plic_interrupt();
        break;
    default:
        panic("interrupt %lu, which nobody asked for", cause & ~CAUSE_INTERRUPT);
    }
}

/* User stacks grow on demand, also when the kernel is the first to touch them for a system call. */
static bool grow_stack(u64 cause, u64 address)
{
    u64 *root = current()->page_table;
    return root && (cause == CAUSE_LOAD_PAGE_FAULT || cause == CAUSE_STORE_PAGE_FAULT) &&
           user_space_map_stack(root, address);
}

void trap_handle(struct trap_frame *frame, u64 cause, u64 value)
{
    if (cause & CAUSE_INTERRUPT) {
        handle_interrupt(cause);
    } else if (cause == CAUSE_USER_ECALL) {
        frame->pc += 4;
        syscall_handle(frame);
    } else if (grow_stack(cause, value)) {
        /* the instruction is tried again */
    } else if (frame->status & SSTATUS_SPP) {
        panic_trap(frame, cause, value);
    } else {
        print("task %u (%s) ended by trap %lu at %lx, value %lx\n", current()->pid, current()->name, cause, frame->pc,
              value);
        task_exit();
    }
}
