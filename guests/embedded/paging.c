/*
 * Sv39 page tables. The kernel sees memory and devices at their physical addresses; user programs live
 * in the second gigabyte, where the board has nothing that the kernel needs. Every root shares the
 * kernel's tables, so that a trap needs no change of address space.
 */
#include "board.h"
#include "memory.h"
#include "panic.h"
#include "riscv.h"
#include "task.h"

#define PTE_V (1ul << 0)
#define PTE_R (1ul << 1)
#define PTE_W (1ul << 2)
#define PTE_X (1ul << 3)
#define PTE_U (1ul << 4)
#define PTE_G (1ul << 5)
#define PTE_A (1ul << 6)
#define PTE_D (1ul << 7)

/* Accessed and dirty are set from the start: nobody here looks at them, and a hart may fault to ask. */
#define KERNEL_TEXT (PTE_R | PTE_X | PTE_G | PTE_A)
#define KERNEL_RODATA (PTE_R | PTE_G | PTE_A)
#define KERNEL_DATA (PTE_R | PTE_W | PTE_G | PTE_A | PTE_D)
#define USER_TEXT (PTE_R | PTE_X | PTE_U | PTE_A)
#define USER_DATA (PTE_R | PTE_W | PTE_U | PTE_A | PTE_D)

#define ENTRIES 512
#define MEGA_PAGE (PAGE_SIZE * ENTRIES)
#define USER_ROOT_INDEX 1

extern char kernel_start[], text_end[], user_image[], user_image_end[], kernel_end[];

static u64 *kernel_root;

static u64 table_index(u64 address, u32 level)
{
    return address >> (12 + 9 * level) & (ENTRIES - 1);
}

static u64 make_pte(u64 physical, u64 flags)
{
    return physical >> 12 << 10 | flags | PTE_V;
}

static u64 *pte_table(u64 pte)
{
    return (u64 *)(pte >> 10 << 12);
}

/* Maps one page of 4 KiB (level 0) or 2 MiB (level 1); false if there is no memory for a table. */
static bool map_page(u64 *table, u64 virtual, u64 physical, u32 page_level, u64 flags)
{
    for (u32 level = 2; level > page_level; level--) {
        u64 *pte = &table[table_index(virtual, level)];
        if (!(*pte & PTE_V)) {
            void *next = page_alloc();
            if (!next)
                return false;
            *pte = make_pte((u64)next, 0);
        }
        table = pte_table(*pte);
    }
    table[table_index(virtual, page_level)] = make_pte(physical, flags);
    return true;
}

/* Maps a stretch of the kernel's space with pages as large as fit. */
static void map_kernel(u64 start, u64 end, u64 flags)
{
    for (u64 at = start; at < end;) {
        bool large = at % MEGA_PAGE == 0 && end - at >= MEGA_PAGE;
        if (!map_page(kernel_root, at, at, large, flags))
            panic("no memory for the kernel's page tables");
        at += large ? MEGA_PAGE : PAGE_SIZE;
    }
}

void kernel_space_init(u64 ram_end)
{
    kernel_root = page_alloc();
    map_kernel(SYSCON_BASE, SYSCON_BASE + PAGE_SIZE, KERNEL_DATA);
    map_kernel(CLINT_BASE, CLINT_BASE + 0x10000, KERNEL_DATA);
    map_kernel(PLIC_BASE, PLIC_BASE + 0x600000, KERNEL_DATA);
    map_kernel(UART_BASE, VIRTIO_BASE + VIRTIO_SLOTS * VIRTIO_STRIDE, KERNEL_DATA);
    map_kernel((u64)kernel_start, (u64)text_end, KERNEL_TEXT);
    map_kernel((u64)text_end, (u64)user_image_end, KERNEL_RODATA);
    map_kernel((u64)user_image_end, ram_end, KERNEL_DATA);
}

u64 user_image_bytes(void)
{
    return user_image_end - user_image;
}

u64 *user_space_new(void)
{
    u64 *root = page_alloc();
    if (!root)
        return NULL;
    for (u32 i = 0; i < ENTRIES; i++)
        root[i] = kernel_root[i];
    for (u64 at = 0; at < user_image_bytes(); at += PAGE_SIZE) {
        if (!map_page(root, USER_BASE + at, (u64)user_image + at, 0, USER_TEXT)) {
            user_space_free(root);
            return NULL;
        }
    }
    return root;
}

/* The stack grows by a page when the program touches the next one. */
bool user_space_map_stack(u64 *root, u64 address)
{
    struct task *task = current();
    if (address >= USER_STACK_TOP || address < USER_STACK_TOP - USER_STACK_PAGES_MAX * PAGE_SIZE)
        return false;
    void *page = page_alloc();
    if (!page)
        return false;
    if (!map_page(root, address & -PAGE_SIZE, (u64)page, 0, USER_DATA)) {
        page_free(page);
        return false;
    }
    task->user_stack_pages++;
    asm volatile("sfence.vma %0, zero" ::"r"(address) : "memory");
    return true;
}

/* Frees what the user's part of the root leads to, except the shared image. */
void user_space_free(u64 *root)
{
    u64 *middle = root[USER_ROOT_INDEX] & PTE_V ? pte_table(root[USER_ROOT_INDEX]) : NULL;
    for (u32 i = 0; middle && i < ENTRIES; i++) {
        if (!(middle[i] & PTE_V))
            continue;
        u64 *table = pte_table(middle[i]);
        for (u32 j = 0; j < ENTRIES; j++)
            if ((table[j] & PTE_V) && (table[j] & PTE_W))
                page_free(pte_table(table[j]));
        page_free(table);
    }
    if (middle)
        page_free(middle);
    page_free(root);
}

void address_space_use(u64 *root)
{
    u64 *table = root ? root : kernel_root;
    u64 satp = SATP_SV39 | (u64)table >> 12;
    if (csr_read(satp) == satp)
        return;
    csr_write(satp, satp);
    asm volatile("sfence.vma" ::: "memory");
}
