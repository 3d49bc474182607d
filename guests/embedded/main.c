/* From reset to the shell. */
#include "fdt.h"
#include "hart.h"
#include "memory.h"
#include "message.h"
#include "panic.h"
#include "print.h"
#include "riscv.h"
#include "shell.h"
#include "task.h"
#include "timer.h"
#include "uart.h"
#include "virtio-blk.h"

#define CLINT_SOFTWARE_INTERRUPT(hart) (CLINT_BASE + (hart) * 4ul)
#define RAM_BYTES_WITHOUT_TREE (16ul << 20)

struct hart harts[HARTS_MAX];
u32 hart_count;

extern char kernel_end[];

void hart_kick(struct hart *hart)
{
    mmio_write32(CLINT_SOFTWARE_INTERRUPT(hart - harts), 1);
}

/* What each hart does for itself; its structure was prepared by the boot hart. */
static void hart_init(void)
{
    csr_set(sstatus, SSTATUS_FS_INITIAL);
    csr_write(stimecmp, TIME_NEVER);
    address_space_use(NULL);
    csr_write(sie, SIE_SSIE | SIE_STIE | SIE_SEIE);
}

/* Runs on hart 0 alone, before the others are let in. */
static void boot(const void *tree)
{
    struct board_facts facts = {
        .ram_end = RAM_BASE + RAM_BYTES_WITHOUT_TREE, .hart_count = 0, .timebase_frequency = timer_frequency
    };
    fdt_read(tree, &facts);
    hart_count = facts.hart_count ? facts.hart_count : 1;
    timer_frequency = facts.timebase_frequency;
    pages_init((u64)kernel_end, facts.ram_end);
    kernel_space_init(facts.ram_end);
    tasks_init();
    for (u32 i = 0; i < hart_count; i++) {
        harts[i].id = i;
        task_adopt_hart(&harts[i]);
    }
    hart_init();

    print("\nchronovisor guest: %u harts, %lu KiB of memory\n", hart_count, (facts.ram_end - RAM_BASE) / KIB(1));
    messages_init();
    uart_init();
    disk_init();
    if (disk_sectors())
        print("disk: %lu sectors\n", disk_sectors());
    if (!task_start("shell", shell, 0))
        panic("no shell");
    for (u32 i = 1; i < hart_count; i++)
        hart_kick(&harts[i]);
}

/* Where boot.S leads every hart, in supervisor mode, on its own stack and without paging. */
void hart_main(u32 id, const void *tree)
{
    if (id == 0)
        boot(tree);
    else
        hart_init();
    idle_loop();
}
