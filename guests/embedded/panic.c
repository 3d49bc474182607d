/* Panic says what is wrong, where, and how it came there, then powers off with a failing exit code. */
#include "panic.h"
#include "print.h"
#include "riscv.h"
#include "syscon.h"
#include "task.h"

#define PANIC_EXIT_CODE 1
#define BACKTRACE_MAX 16

extern char kernel_start[], text_end[];

static const char *cause_name(u64 cause)
{
    static const char *const names[] = {
        "misaligned fetch", "fetch access fault", "illegal instruction", "breakpoint", "misaligned load",
        "load access fault", "misaligned store", "store access fault", "environment call from user mode",
        "environment call from supervisor mode", "?", "environment call from machine mode", "fetch page fault",
        "load page fault", "?", "store page fault",
    };
    return cause < COUNT_OF(names) ? names[cause] : "?";
}

static bool is_code(u64 address)
{
    return address >= (u64)kernel_start && address < (u64)text_end;
}

/*
 * Walks the chain of frame pointers: each function keeps its caller's s0 and ra just below where s0
 * points. A leaf keeps s0 alone, and so in ra's place.
 */
static void print_backtrace(u64 s0)
{
    u64 stack = (u64)task_stacks[current() - tasks];
    print("  called from");
    for (u32 i = 0; i < BACKTRACE_MAX && s0 >= stack + 16 && s0 <= stack + TASK_STACK_SIZE && s0 % 8 == 0; i++) {
        u64 ra = ((u64 *)s0)[-1];
        s0 = is_code(ra) ? ((u64 *)s0)[-2] : ra;
        if (is_code(ra))
            print(" %lx", ra);
    }
    print("\n");
}

static void print_where(u64 pc)
{
    print("  hart %u, pc %lx, task %u (%s), time %lu\n", this_hart()->id, pc, current()->pid, current()->name,
          csr_read(time));
}

static u32 panicking;

/* The first hart to panic speaks; should another one follow, it keeps quiet. */
static void claim_panic(void)
{
    irq_save();
    while (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQUIRE))
        wait_for_interrupt();
    print_ignore_lock();
}

void panic(const char *format, ...)
{
    va_list arguments;
    claim_panic();
    print("\npanic: ");
    va_start(arguments, format);
    print_arguments(format, arguments);
    va_end(arguments);
    print("\n");
    print_where((u64)__builtin_return_address(0));
    print_backtrace((u64)__builtin_frame_address(0));
    syscon_fail(PANIC_EXIT_CODE);
}

void panic_trap(const struct trap_frame *frame, u64 cause, u64 value)
{
    claim_panic();
    print("\npanic: %s in the kernel, cause %lu, value %lx\n", cause_name(cause), cause, value);
    print_where(frame->pc);
    for (u32 i = 1; i < 32; i++)
        print("  x%-2u %016lx%s", i, frame->x[i], i % 4 == 0 || i == 31 ? "\n" : "");
    print_backtrace(frame->s0);
    syscon_fail(PANIC_EXIT_CODE);
}
