/* A bounded queue of messages between tasks, and from interrupt handlers to tasks. */
#pragma once

#include "lock.h"
#include "message.h"
#include "task.h"

#define MAILBOX_SIZE 48
#define MAILBOX_RESERVE 8 /* of these, for interrupt handlers, which cannot wait for room */

/* The checksum travels outside the message, so that the receiver can tell whether it was tampered with. */
struct envelope {
    struct message *message;
    u64 checksum;
};

struct mailbox {
    struct lock lock;
    struct wait_queue senders;
    struct wait_queue receivers;
    struct envelope envelopes[MAILBOX_SIZE];
    u32 sent; /* these two count up */
    u32 received;
    bool open;
};

void mailbox_open(struct mailbox *box);

/* After this nothing can be sent; what was sent before can still be received. */
void mailbox_close(struct mailbox *box);

/* Waits for room. */
void mailbox_send(struct mailbox *box, struct message *message);

/* For interrupt handlers: false if there is no room, or the box is closed. */
bool mailbox_send_now(struct mailbox *box, struct message *message);

/* Waits for a message; NULL once the box is closed and empty. Panics if the message is not as it was sent. */
struct message *mailbox_receive(struct mailbox *box);
