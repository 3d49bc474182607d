/* SiFive's platform-level interrupt controller. Each hart's supervisor mode is a context of its own. */
#include "plic.h"
#include "board.h"
#include "hart.h"
#include "panic.h"
#include "riscv.h"

#define SOURCES_MAX 32
#define PLIC_PRIORITY(source) (PLIC_BASE + (source) * 4ul)
#define PLIC_ENABLE(context) (PLIC_BASE + 0x2000 + (context) * 0x80ul)
#define PLIC_THRESHOLD(context) (PLIC_BASE + 0x200000 + (context) * 0x1000ul)
#define PLIC_CLAIM(context) (PLIC_THRESHOLD(context) + 4)

static void (*handlers[SOURCES_MAX])(void);

static u32 supervisor_context(u32 hart)
{
    return hart * 2 + 1;
}

void plic_route(u32 source, u32 hart, void (*handler)(void))
{
    u32 context = supervisor_context(hart);
    handlers[source] = handler;
    mmio_write32(PLIC_PRIORITY(source), 1);
    mmio_write32(PLIC_THRESHOLD(context), 0);
    mmio_write32(PLIC_ENABLE(context), mmio_read32(PLIC_ENABLE(context)) | 1u << source);
}

void plic_interrupt(void)
{
    u64 claim = PLIC_CLAIM(supervisor_context(this_hart()->id));
    u32 source;
    while ((source = mmio_read32(claim))) {
        if (source >= SOURCES_MAX || !handlers[source])
            panic("interrupt from source %u, which nobody handles", source);
        handlers[source]();
        mmio_write32(claim, source);
    }
}
