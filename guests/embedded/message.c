/* The pool of messages: a list of the free ones. */
#include "message.h"
#include "lock.h"
#include "task.h"

static struct message messages[MESSAGES];

static struct {
    struct lock lock;
    struct wait_queue takers;
    struct message *first;
} pool = { .takers = WAIT_QUEUE(pool.takers) };

void messages_init(void)
{
    for (u32 i = 0; i < MESSAGES; i++)
        message_give_back(&messages[i]);
}

/* Nothing may come between looking at the list and changing it. */
static struct message *unlink_first(void)
{
    struct message *message = pool.first;
    if (message) {
        pool.first = message->next;
        message->next = NULL;
    }
    return message;
}

struct message *message_take(void)
{
    struct message *message;
    u64 interrupts = lock(&pool.lock);
    while (!(message = unlink_first()))
        wait_on(&pool.takers, &pool.lock);
    unlock(&pool.lock, interrupts);
    return message;
}

/* Interrupts are off in a handler already, so that nothing comes between. */
struct message *message_take_now(void)
{
    return unlink_first();
}

void message_give_back(struct message *message)
{
    u64 interrupts = lock(&pool.lock);
    message->next = pool.first;
    pool.first = message;
    wake_all(&pool.takers);
    unlock(&pool.lock, interrupts);
}

u64 message_checksum(const struct message *message)
{
    u64 sum = 0xcbf29ce484222325ul ^ message->serial ^ (u64)message->kind << 32;
    for (u32 i = 0; i < MESSAGE_WORDS; i++)
        sum = (sum ^ message->words[i]) * 0x100000001b3ul;
    return sum;
}

u32 messages_free(void)
{
    u32 count = 0;
    u64 interrupts = lock(&pool.lock);
    for (struct message *at = pool.first; at && count <= MESSAGES; at = at->next)
        count++;
    unlock(&pool.lock, interrupts);
    return count;
}
