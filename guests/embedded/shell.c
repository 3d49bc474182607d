/* The console's command interpreter. */
#include "shell.h"
#include "memory.h"
#include "panic.h"
#include "print.h"
#include "string.h"
#include "syscon.h"
#include "task.h"
#include "timer.h"
#include "uart.h"
#include "user.h"
#include "virtio-blk.h"
#include "work.h"

#define LINE_MAX 120
#define WORDS_MAX 8
#define BYTES_A_ROW 16

struct command {
    const char *name;
    const char *usage;
    const char *what;
    void (*run)(u32 count, char **words);
};

static const struct {
    const char *name;
    void (*entry)(u64);
    u64 argument; /* unless another one is given */
} programs[] = {
    { "hello", user_hello, 3 },     { "primes", user_primes, 5000 }, { "fp", user_fp, 10000 },
    { "recurse", user_recurse, 20 }, { "fault", user_fault, 0 },
};

/* A number among the words, or another value if there is none. */
static u64 number_at(u32 count, char **words, u32 at, u64 otherwise)
{
    u64 value;
    return at < count && parse_number(words[at], &value) ? value : otherwise;
}

static void run_ps(u32 count, char **words)
{
    (void)count, (void)words;
    print("  pid  state     hart  switches  name\n");
    for (u32 i = 0; i < TASKS_MAX; i++)
        if (tasks[i].state != TASK_FREE)
            print("%5u  %-8s  %4u  %8lu  %s%s\n", tasks[i].pid, task_state_name(tasks[i].state), tasks[i].hart,
                  tasks[i].switches, tasks[i].name, tasks[i].page_table ? " (user)" : "");
}

static void run_harts(u32 count, char **words)
{
    (void)count, (void)words;
    for (u32 i = 0; i < hart_count; i++)
        print("hart %u: %lu ticks, %lu switches, now %s\n", i, harts[i].ticks, harts[i].switches,
              harts[i].current->name);
}

static void run_mem(u32 count, char **words)
{
    (void)count, (void)words;
    print("%lu of %lu pages free\n", pages_free_count(), pages_total());
}

static void run_echo(u32 count, char **words)
{
    for (u32 i = 1; i < count; i++)
        print("%s%s", words[i], i + 1 < count ? " " : "");
    print("\n");
}

static void print_sector(const u8 *data)
{
    for (u32 row = 0; row < 64; row += BYTES_A_ROW) {
        print("%04x ", row);
        for (u32 i = 0; i < BYTES_A_ROW; i++)
            print(" %02x", data[row + i]);
        print("  ");
        for (u32 i = 0; i < BYTES_A_ROW; i++)
            print("%c", data[row + i] >= ' ' && data[row + i] < 127 ? data[row + i] : '.');
        print("\n");
    }
}

static void run_disk(u32 count, char **words)
{
    u8 data[SECTOR_SIZE];
    u64 sector = number_at(count, words, 2, 0);
    if (!disk_sectors()) {
        print("no disk\n");
    } else if (count == 1) {
        print("%lu sectors\n", disk_sectors());
    } else if (string_equal(words[1], "read") && count == 3) {
        if (disk_read(sector, data))
            print_sector(data);
        else
            print("cannot read sector %lu\n", sector);
    } else if (string_equal(words[1], "write") && count == 4) {
        memset(data, 0, sizeof data);
        memcpy(data, words[3], string_length(words[3]));
        print(disk_write(sector, data) ? "written\n" : "cannot write there\n");
    } else {
        print("usage: disk [read SECTOR | write SECTOR TEXT]\n");
    }
}

static void run_sum(u32 count, char **words)
{
    u64 limit = number_at(count, words, 1, 100000);
    u64 sum = 0;
    for (volatile u64 i = 1; i <= limit; i++)
        sum += i * i;
    print("sum of squares to %lu = %lu\n", limit, sum);
}

/* Starts the named program; 0 and a message if that cannot be. */
static u32 start_program(const char *name, u32 count, char **words, u32 argument_at)
{
    for (u32 i = 0; i < COUNT_OF(programs); i++) {
        if (!string_equal(programs[i].name, name))
            continue;
        u64 argument = number_at(count, words, argument_at, programs[i].argument);
        u32 pid = task_start_user(name, (u64)programs[i].entry, argument);
        if (!pid)
            print("no room for another task\n");
        return pid;
    }
    print("programs:");
    for (u32 i = 0; i < COUNT_OF(programs); i++)
        print(" %s", programs[i].name);
    print("\n");
    return 0;
}

static void run_fp(u32 count, char **words)
{
    task_join(start_program("fp", count, words, 1));
}

static void run_run(u32 count, char **words)
{
    u32 pid = start_program(count > 1 ? words[1] : "", count, words, 2);
    if (pid)
        task_join(pid);
}

static void run_spawn(u32 count, char **words)
{
    u32 pid = start_program(count > 1 ? words[1] : "", count, words, 2);
    if (pid)
        print("task %u\n", pid);
}

static void run_sleep(u32 count, char **words)
{
    task_sleep_until(time_now() + time_from_ms(number_at(count, words, 1, 10)));
}

static void run_work(u32 count, char **words)
{
    work_run(number_at(count, words, 1, 500), number_at(count, words, 2, 1));
}

static void run_uptime(u32 count, char **words)
{
    (void)count, (void)words;
    print("%lu us\n", time_now() * 1000000 / timer_frequency);
}

static void run_panic(u32 count, char **words)
{
    (void)count, (void)words;
    panic("asked for");
}

static void run_crash(u32 count, char **words)
{
    *(volatile u64 *)number_at(count, words, 1, 8) = 1;
}

static void run_poweroff(u32 count, char **words)
{
    (void)count, (void)words;
    syscon_power_off();
}

static void run_reboot(u32 count, char **words)
{
    (void)count, (void)words;
    syscon_reboot();
}

static void run_help(u32 count, char **words);

static const struct command commands[] = {
    { "help", "", "lists the commands", run_help },
    { "ps", "", "lists the tasks", run_ps },
    { "harts", "", "lists the processors", run_harts },
    { "mem", "", "says how much memory is free", run_mem },
    { "uptime", "", "says how long ago reset was", run_uptime },
    { "echo", "TEXT...", "repeats it", run_echo },
    { "disk", "[read N | write N TEXT]", "reads and writes sectors", run_disk },
    { "sum", "[N]", "adds squares", run_sum },
    { "fp", "[N]", "adds fractions, in double precision", run_fp },
    { "run", "PROGRAM [N]", "runs a user program and waits for it", run_run },
    { "spawn", "PROGRAM [N]", "starts a user program", run_spawn },
    { "sleep", "[MS]", "waits", run_sleep },
    { "work", "[LETTERS [SEED]]", "keeps all harts busy", run_work },
    { "panic", "", "panics", run_panic },
    { "crash", "[ADDRESS]", "writes there, by default where nothing is", run_crash },
    { "poweroff", "", "switches the machine off", run_poweroff },
    { "reboot", "", "starts it again", run_reboot },
};

static void run_help(u32 count, char **words)
{
    (void)count, (void)words;
    for (u32 i = 0; i < COUNT_OF(commands); i++)
        print("  %-9s%-26s%s\n", commands[i].name, commands[i].usage, commands[i].what);
}

/* Reads a line, echoing it; backspace takes back, control-U takes all back. */
static void read_line(char *line)
{
    u32 length = 0;
    for (;;) {
        char c = uart_get();
        if (c == '\r' || c == '\n') {
            print("\n");
            line[length] = 0;
            return;
        }
        if (c == 0x7f || c == '\b' || c == 0x15) {
            for (u32 n = c == 0x15 ? length : length > 0; n; n--, length--)
                print("\b \b");
        } else if (c >= ' ' && length < LINE_MAX) {
            line[length++] = c;
            print("%c", c);
        }
    }
}

static u32 split(char *line, char **words)
{
    u32 count = 0;
    while (count < WORDS_MAX) {
        while (*line == ' ')
            *line++ = 0;
        if (!*line)
            break;
        words[count++] = line;
        while (*line && *line != ' ')
            line++;
    }
    return count;
}

static void run_line(char *line)
{
    char *words[WORDS_MAX];
    u32 count = split(line, words);
    if (!count)
        return;
    for (u32 i = 0; i < COUNT_OF(commands); i++) {
        if (string_equal(commands[i].name, words[0])) {
            commands[i].run(count, words);
            return;
        }
    }
    print("%s: no such command; try help\n", words[0]);
}

void shell(u64 unused)
{
    (void)unused;
    char line[LINE_MAX + 1];
    for (;;) {
        print("> ");
        read_line(line);
        run_line(line);
    }
}
