/* Doubly linked lists threaded through the things they hold. */
#pragma once

#include "types.h"

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_EMPTY(list) { &(list), &(list) }
#define container_of(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *link)
{
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

static inline struct list *list_take_first(struct list *list)
{
    struct list *first = list->next;
    list_remove(first);
    return first;
}
