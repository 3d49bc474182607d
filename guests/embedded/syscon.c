/* SiFive's test device, which QEMU's board uses as its power switch. */
#include "syscon.h"
#include "board.h"
#include "riscv.h"

#define SYSCON_FAIL 0x3333
#define SYSCON_POWER_OFF 0x5555
#define SYSCON_REBOOT 0x7777

static void __attribute__((noreturn)) end(u32 command)
{
    mmio_write32(SYSCON_BASE, command);
    for (;;)
        wait_for_interrupt();
}

void syscon_power_off(void)
{
    end(SYSCON_POWER_OFF);
}

void syscon_reboot(void)
{
    end(SYSCON_REBOOT);
}

void syscon_fail(u16 code)
{
    end((u32)code << 16 | SYSCON_FAIL);
}
