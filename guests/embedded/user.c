/*
 * User programs. They share one read-only image, see only their own stack, and ask the kernel for the
 * rest. Nothing here may call kernel code, not even a library function: build.sh checks that.
 */
#include "user.h"
#include "syscall.h"

#define LINE_MAX 80

struct line {
    char text[LINE_MAX];
    u64 length;
};

static u64 syscall(u64 number, u64 first, u64 second)
{
    register u64 a0 asm("a0") = first;
    register u64 a1 asm("a1") = second;
    register u64 a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
    return a0;
}

void user_start(void (*program)(u64), u64 argument)
{
    program(argument);
    syscall(SYS_EXIT, 0, 0);
}

static void add_char(struct line *line, char c)
{
    if (line->length < LINE_MAX)
        line->text[line->length++] = c;
}

static void add_text(struct line *line, const char *text)
{
    while (*text)
        add_char(line, *text++);
}

static void add_number(struct line *line, u64 value, u32 base, u32 digits)
{
    u64 unit = 1;
    for (u32 i = 1; i < digits || value / unit >= base; i++)
        unit *= base;
    for (; unit; unit /= base)
        add_char(line, "0123456789abcdef"[value / unit % base]);
}

static void write_line(struct line *line)
{
    add_char(line, '\n');
    syscall(SYS_WRITE, (u64)line->text, line->length);
    line->length = 0;
}

/* Greets a few times, with naps in between. */
void user_hello(u64 times)
{
    struct line line;
    line.length = 0;
    for (u64 i = 1; i <= times; i++) {
        add_text(&line, "hello ");
        add_number(&line, i, 10, 1);
        add_text(&line, " from task ");
        add_number(&line, syscall(SYS_PID, 0, 0), 10, 1);
        write_line(&line);
        syscall(SYS_SLEEP, 2, 0);
    }
}

static bool is_prime(u64 n)
{
    for (u64 d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n >= 2;
}

void user_primes(u64 limit)
{
    struct line line;
    u64 count = 0;
    for (u64 n = 2; n <= limit; n++)
        count += is_prime(n);
    line.length = 0;
    add_number(&line, count, 10, 1);
    add_text(&line, " primes up to ");
    add_number(&line, limit, 10, 1);
    write_line(&line);
}

/* Sums 1/n^2, which comes near pi^2/6; prints six decimals and all of its bits. */
void user_fp(u64 terms)
{
    struct line line;
    union {
        double value;
        u64 bits;
    } sum = { 0 };
    for (u64 n = 1; n <= terms; n++)
        sum.value += 1.0 / ((double)n * (double)n);
    u64 millionths = (u64)(sum.value * 1e6);
    line.length = 0;
    add_text(&line, "sum of 1/n^2 for n to ");
    add_number(&line, terms, 10, 1);
    add_text(&line, " = ");
    add_number(&line, millionths / 1000000, 10, 1);
    add_char(&line, '.');
    add_number(&line, millionths % 1000000, 10, 6);
    add_text(&line, " (0x");
    add_number(&line, sum.bits, 16, 16);
    add_char(&line, ')');
    write_line(&line);
}

/* Uses as much stack as asked for; past the limit, the kernel ends it. */
static u64 __attribute__((noinline)) descend(u64 depth)
{
    volatile u64 room[60];
    room[0] = depth;
    return depth ? descend(depth - 1) + room[0] : 0;
}

void user_recurse(u64 depth)
{
    struct line line;
    u64 sum = descend(depth);
    line.length = 0;
    add_text(&line, "sum of depths ");
    add_number(&line, sum, 10, 1);
    write_line(&line);
}

/* Writes where it may not. */
void user_fault(u64 address)
{
    *(volatile u64 *)address = 1;
}
