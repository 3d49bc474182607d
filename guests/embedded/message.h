/* Messages of a fixed size, from a pool of a fixed number. */
#pragma once

#include "types.h"

#define MESSAGES 64
#define MESSAGE_WORDS 28

enum message_kind { MESSAGE_LETTER, MESSAGE_SAMPLE };

struct message {
    struct message *next; /* in the pool's free list */
    enum message_kind kind;
    u32 serial;
    u64 words[MESSAGE_WORDS];
};

void messages_init(void);

/* Waits for a message to be free. */
struct message *message_take(void);

/* For interrupt handlers, which must not wait: NULL if none is free. */
struct message *message_take_now(void);

void message_give_back(struct message *message);

u64 message_checksum(const struct message *message);
u32 messages_free(void);
