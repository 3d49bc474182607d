/* Physical pages, and the address spaces made of them. */
#pragma once

#include "types.h"

#define PAGE_SIZE 4096ul

#define USER_BASE 0x40000000ul
#define USER_STACK_TOP 0x80000000ul

/* Hands out pages from `start` to `end`; each comes zeroed. NULL when there are none left. */
void pages_init(u64 start, u64 end);
void *page_alloc(void);
void page_free(void *page);
u64 pages_total(void);
u64 pages_free_count(void);

/* Maps the kernel, memory and devices at their physical addresses. */
void kernel_space_init(u64 ram_end);

/* A new user program's address space: the kernel's, and the user image at USER_BASE. */
u64 *user_space_new(void);
u64 user_image_bytes(void);
void user_space_free(u64 *root);
bool user_space_map_stack(u64 *root, u64 address);

/* NULL means the kernel's own. */
void address_space_use(u64 *root);
