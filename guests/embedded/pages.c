/*
 * The allocator of physical pages. Pages never used so far are taken in order from the fresh part, so
 * that memory is touched only when needed; freed ones go to a list threaded through the pages.
 */
#include "lock.h"
#include "memory.h"

struct free_page {
    struct free_page *next;
};

static struct {
    struct lock lock;
    struct free_page *free;
    u64 start;
    u64 fresh;
    u64 end;
    u64 used;
} pages;

void pages_init(u64 start, u64 end)
{
    pages.start = pages.fresh = (start + PAGE_SIZE - 1) & -PAGE_SIZE;
    pages.end = end & -PAGE_SIZE;
}

void *page_alloc(void)
{
    u64 interrupts = lock(&pages.lock);
    u64 *page = NULL;
    if (pages.free) {
        page = (u64 *)pages.free;
        pages.free = pages.free->next;
    } else if (pages.fresh < pages.end) {
        page = (u64 *)pages.fresh;
        pages.fresh += PAGE_SIZE;
    }
    pages.used += page != NULL;
    unlock(&pages.lock, interrupts);

    for (u64 i = 0; page && i < PAGE_SIZE / sizeof *page; i++)
        page[i] = 0;
    return page;
}

void page_free(void *address)
{
    struct free_page *page = address;
    u64 interrupts = lock(&pages.lock);
    page->next = pages.free;
    pages.free = page;
    pages.used--;
    unlock(&pages.lock, interrupts);
}

u64 pages_total(void)
{
    return (pages.end - pages.start) / PAGE_SIZE;
}

u64 pages_free_count(void)
{
    return pages_total() - pages.used;
}
