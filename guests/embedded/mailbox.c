#include "mailbox.h"
#include "panic.h"

void mailbox_open(struct mailbox *box)
{
    *box = (struct mailbox){ .open = true };
    list_init(&box->senders.tasks);
    list_init(&box->receivers.tasks);
}

void mailbox_close(struct mailbox *box)
{
    u64 interrupts = lock(&box->lock);
    box->open = false;
    wake_all(&box->receivers);
    unlock(&box->lock, interrupts);
}

static u32 free_slots(const struct mailbox *box)
{
    return MAILBOX_SIZE - (box->sent - box->received);
}

static void put(struct mailbox *box, struct message *message)
{
    struct envelope *envelope = &box->envelopes[box->sent++ % MAILBOX_SIZE];
    envelope->message = message;
    envelope->checksum = message_checksum(message);
    wake_all(&box->receivers);
}

void mailbox_send(struct mailbox *box, struct message *message)
{
    u64 interrupts = lock(&box->lock);
    while (free_slots(box) <= MAILBOX_RESERVE)
        wait_on(&box->senders, &box->lock);
    put(box, message);
    unlock(&box->lock, interrupts);
}

bool mailbox_send_now(struct mailbox *box, struct message *message)
{
    u64 interrupts = lock(&box->lock);
    bool possible = box->open && free_slots(box) > 0;
    if (possible)
        put(box, message);
    unlock(&box->lock, interrupts);
    return possible;
}

struct message *mailbox_receive(struct mailbox *box)
{
    u64 interrupts = lock(&box->lock);
    while (box->sent == box->received && box->open)
        wait_on(&box->receivers, &box->lock);
    struct envelope envelope = { 0 };
    if (box->sent != box->received) {
        envelope = box->envelopes[box->received++ % MAILBOX_SIZE];
        wake_all(&box->senders);
    }
    unlock(&box->lock, interrupts);

    struct message *message = envelope.message;
    if (message && message_checksum(message) != envelope.checksum)
        panic("corrupt message at %lx: serial %u, checksum %016lx, sent with %016lx", (u64)message, message->serial,
              message_checksum(message), envelope.checksum);
    return message;
}
