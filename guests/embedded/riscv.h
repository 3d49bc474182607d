/* What C needs to say to the processor. Numbers are those of the privileged specification. */
#pragma once

#include "types.h"

#define SSTATUS_SIE (1ul << 1)
#define SSTATUS_SPIE (1ul << 5)
#define SSTATUS_SPP (1ul << 8)
#define SSTATUS_FS (3ul << 13)
#define SSTATUS_FS_INITIAL (1ul << 13)
#define SSTATUS_FS_CLEAN (2ul << 13)
#define SSTATUS_FS_DIRTY (3ul << 13)
#define SSTATUS_SUM (1ul << 18)

#define SIE_SSIE (1ul << 1)
#define SIE_STIE (1ul << 5)
#define SIE_SEIE (1ul << 9)

#define CAUSE_INTERRUPT (1ul << 63)
#define CAUSE_SOFTWARE (CAUSE_INTERRUPT | 1)
#define CAUSE_TIMER (CAUSE_INTERRUPT | 5)
#define CAUSE_EXTERNAL (CAUSE_INTERRUPT | 9)
#define CAUSE_USER_ECALL 8
#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15

#define SATP_SV39 (8ul << 60)

/* The Sstc extension's timer register, by number for assemblers that do not know the name. */
#define stimecmp 0x14d

#define CSR_NAME(csr) CSR_NAME_(csr)
#define CSR_NAME_(csr) #csr

#define csr_read(csr)                                                                              \
    ({                                                                                             \
        u64 value_;                                                                                \
        asm volatile("csrr %0, " CSR_NAME(csr) : "=r"(value_)::"memory");                          \
        value_;                                                                                    \
    })
#define csr_write(csr, value) asm volatile("csrw " CSR_NAME(csr) ", %0" ::"r"(value) : "memory")
#define csr_set(csr, bits) asm volatile("csrs " CSR_NAME(csr) ", %0" ::"r"(bits) : "memory")
#define csr_clear(csr, bits) asm volatile("csrc " CSR_NAME(csr) ", %0" ::"r"(bits) : "memory")

/* Turns this hart's interrupts off and says whether they were on. */
static inline u64 irq_save(void)
{
    u64 before;
    asm volatile("csrrci %0, sstatus, 2" : "=r"(before)::"memory");
    return before & SSTATUS_SIE;
}

static inline void irq_restore(u64 before)
{
    csr_set(sstatus, before);
}

static inline void wait_for_interrupt(void)
{
    asm volatile("wfi" ::: "memory");
}

static inline void memory_fence(void)
{
    asm volatile("fence iorw, iorw" ::: "memory");
}

static inline u32 mmio_read32(u64 address)
{
    return *(volatile u32 *)address;
}

static inline void mmio_write32(u64 address, u32 value)
{
    *(volatile u32 *)address = value;
}

static inline u8 mmio_read8(u64 address)
{
    return *(volatile u8 *)address;
}

static inline void mmio_write8(u64 address, u8 value)
{
    *(volatile u8 *)address = value;
}
