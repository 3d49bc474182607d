/* A mixture as control programs have it: a linked list that is searched and reversed, a state machine over text, and a checksum bit by bit. */
#include "bench.h"

#define NODES 512
#define TEXT 4096

const char work_name[] = "mix";
const u64 work_rounds = 2000;
const int work_parallel = 0;

struct node {
    struct node *next;
    u32 key;
    u32 value;
};

static struct node nodes[NODES];
static u8 text[TEXT];

static u32 crc(u32 sum, u32 byte)
{
    sum ^= byte;
    for (int bit = 0; bit < 8; bit++)
        sum = sum & 1 ? sum >> 1 ^ 0xedb88320u : sum >> 1;
    return sum;
}

static struct node *reversed(struct node *list)
{
    struct node *done = 0;
    while (list) {
        struct node *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static const struct node *find(const struct node *list, u32 key)
{
    while (list && list->key != key)
        list = list->next;
    return list;
}

enum state { SPACE, SIGN, NUMBER, FRACTION, WORD, OTHER };

static enum state step(enum state state, u8 letter)
{
    switch (state) {
    case SPACE:
    case OTHER:
        if (letter >= '0' && letter <= '9')
            return NUMBER;
        if (letter == '+' || letter == '-')
            return SIGN;
        return letter >= 'a' ? WORD : letter == ' ' ? SPACE : OTHER;
    case SIGN:
        return letter >= '0' && letter <= '9' ? NUMBER : OTHER;
    case NUMBER:
        if (letter == '.')
            return FRACTION;
        /* fall through */
    case FRACTION:
        return letter >= '0' && letter <= '9' ? state : letter == ' ' ? SPACE : OTHER;
    default:
        return letter >= 'a' ? WORD : letter == ' ' ? SPACE : OTHER;
    }
}

u64 work_once(u64 hart, u64 round)
{
    u64 random = round * 2654435761u + hart + 1;
    struct node *list = 0;
    for (u32 i = 0; i < NODES; i++) {
        nodes[i].key = (u32)next_random(&random) & 1023;
        nodes[i].value = i;
        nodes[i].next = list;
        list = &nodes[i];
    }
    u32 sum = (u32)round;
    for (u32 i = 0; i < 64; i++) {
        const struct node *found = find(list, (u32)next_random(&random) & 1023);
        sum = crc(sum, found ? found->value & 255 : 0);
        if (i % 8 == 0)
            list = reversed(list);
    }
    for (u32 i = 0; i < TEXT; i++)
        text[i] = (u8)" 0123456789+-.abcdefg"[next_random(&random) % 21];
    u32 counts[6] = { 0 };
    enum state state = SPACE;
    for (u32 i = 0; i < TEXT; i++) {
        state = step(state, text[i]);
        counts[state]++;
    }
    for (u32 i = 0; i < 6; i++)
        sum = crc(crc(sum, counts[i] & 255), counts[i] >> 8);
    for (u32 i = 0; i < TEXT; i++)
        sum = crc(sum, text[i]);
    return sum;
}
