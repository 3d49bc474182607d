/*
 * The workload behind the shell's `work` command. One writer task fills letters with pseudo-random words
 * and mails them; readers, one for each hart, digest them. The total of all digests depends on count and
 * seed only, whoever read what. While it lasts, every timer interrupt mails a sample of what it
 * interrupted through the same mailbox, a profile of sorts.
 */
#include "work.h"
#include "mailbox.h"
#include "panic.h"
#include "print.h"
#include "riscv.h"
#include "timer.h"

/* Passes over a letter's words: at least so many, and up to so many more, as the letter itself decides. */
#define PASSES_MIN 16
#define PASSES_SPREAD 32

static struct {
    struct mailbox mailbox;
    struct lock lock; /* guards the results below */
    u64 total;
    u32 letters_read;
    u32 samples[HARTS_MAX];

    u32 letters;
    u64 seed;
    u32 first_pid; /* the workload's tasks, which are the ones that are sampled */
    u32 last_pid;
} work;

static u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void write_letters(u64 seed)
{
    u64 state = seed * 0x9e3779b97f4a7c15ul | 1;
    for (u32 serial = 1; serial <= work.letters; serial++) {
        struct message *letter = message_take();
        letter->kind = MESSAGE_LETTER;
        letter->serial = serial;
        for (u32 i = 0; i < MESSAGE_WORDS; i++)
            letter->words[i] = next_random(&state);
        mailbox_send(&work.mailbox, letter);
    }
    mailbox_close(&work.mailbox);
}

static u64 digest(const struct message *letter)
{
    u64 passes = PASSES_MIN + letter->words[0] % PASSES_SPREAD;
    u64 result = letter->serial;
    for (u64 pass = 0; pass < passes; pass++) {
        for (u32 i = 0; i < MESSAGE_WORDS; i++) {
            result = (result ^ letter->words[i]) * 0x9fb21c651e98df25ul;
            result ^= result >> 28;
        }
    }
    return result;
}

static void read_letters(u64 unused)
{
    (void)unused;
    struct message *message;
    while ((message = mailbox_receive(&work.mailbox))) {
        u64 value = message->kind == MESSAGE_LETTER ? digest(message) : 0;
        u64 interrupts = lock(&work.lock);
        if (message->kind == MESSAGE_LETTER) {
            work.total += value;
            work.letters_read++;
        } else {
            work.samples[message->words[0]]++;
        }
        unlock(&work.lock, interrupts);
        message_give_back(message);
    }
}

void work_sample(void)
{
    struct task *task = current();
    if (task->pid < work.first_pid || task->pid > work.last_pid)
        return;
    struct message *sample = message_take_now();
    if (!sample)
        return;
    sample->kind = MESSAGE_SAMPLE;
    sample->serial = this_hart()->ticks;
    sample->words[0] = this_hart()->id;
    sample->words[1] = task->pid;
    sample->words[2] = csr_read(sepc);
    sample->words[3] = time_now();
    if (!mailbox_send_now(&work.mailbox, sample))
        message_give_back(sample);
}

static void check_results(void)
{
    if (work.letters_read != work.letters)
        panic("%u letters were sent and %u read", work.letters, work.letters_read);
    u32 free = messages_free();
    if (free != MESSAGES)
        panic("corrupt pool: %u messages are free, of %u", free, MESSAGES);
}

void work_run(u32 letters, u64 seed)
{
    u32 pids[HARTS_MAX + 1];
    u64 started = time_now();
    mailbox_open(&work.mailbox);
    work.total = work.letters_read = 0;
    for (u32 i = 0; i < HARTS_MAX; i++)
        work.samples[i] = 0;
    work.letters = letters;
    work.seed = seed;

    pids[hart_count] = task_start("writer", write_letters, seed);
    work.first_pid = pids[hart_count];
    for (u32 i = 0; i < hart_count; i++) {
        pids[i] = task_start("reader", read_letters, 0);
        work.last_pid = pids[i];
    }
    for (u32 i = 0; i <= hart_count; i++)
        task_join(pids[i]);

    check_results();
    print("%u letters, seed %lu, total %016lx, %lu us\n", letters, seed, work.total,
          (time_now() - started) * 1000000 / timer_frequency);
    print("samples:");
    for (u32 i = 0; i < hart_count; i++)
        print(" hart%u %u", i, work.samples[i]);
    print("\n");
}
