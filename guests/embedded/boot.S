/*
 * Machine mode. Every hart starts here after reset with its number in a0 and the device tree in a1. What
 * supervisor mode needs is set up once; afterwards machine mode only passes on interprocessor interrupts,
 * which the CLINT delivers to machine mode alone.
 */
#include "board.h"
#include "layout.h"

#define MIP_SSIP 0x002
#define MIE_MSIE 0x008
#define DELEGATED_INTERRUPTS 0x222
#define DELEGATED_EXCEPTIONS 0xb3ff         /* all but environment calls from S and M mode */
#define MSTATUS_MPP 0x1800
#define MSTATUS_MPP_S 0x0800
#define ENVCFG_STCE_BIT 63

.section .text.boot, "ax"
.globl _start
_start:
    csrw mie, zero
    la t0, machine_trap
    csrw mtvec, t0
    li t0, HARTS_MAX
    bgeu a0, t0, park

    bnez a0, wait_for_boot_hart
    la t0, bss_start
    la t1, bss_end
1:  sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    j enter_supervisor

/* The boot hart sends an interprocessor interrupt once memory and the scheduler are ready. */
wait_for_boot_hart:
    li t0, MIE_MSIE
    csrw mie, t0
1:  wfi
    csrr t1, mip
    and t1, t1, t0
    beqz t1, 1b
    call clear_software_interrupt

enter_supervisor:
    /* Supervisor and user mode may reach all of memory; page tables do the rest. */
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0

    li t0, DELEGATED_EXCEPTIONS
    csrw medeleg, t0
    li t0, DELEGATED_INTERRUPTS
    csrw mideleg, t0
    li t0, -1
    csrw mcounteren, t0
    csrw scounteren, t0
    li t0, 1
    slli t0, t0, ENVCFG_STCE_BIT            /* the supervisor has its own timer (Sstc) */
    csrw 0x30a, t0                          /* menvcfg */

    li t0, MSTATUS_MPP
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    csrw satp, zero
    csrw sscratch, zero
    la t0, supervisor_trap
    csrw stvec, t0
    la t0, hart_main
    csrw mepc, t0
    li t0, MIE_MSIE
    csrs mie, t0

    /* The first tasks are the harts' idle tasks; their stacks serve from here on. */
    la sp, task_stacks
    li t0, TASK_STACK_SIZE
    addi t1, a0, 1
    mul t0, t0, t1
    add sp, sp, t0
    la tp, harts
    li t0, HART_SIZE
    mul t0, t0, a0
    add tp, tp, t0
    la t0, machine_scratch
    slli t1, a0, 5
    add t0, t0, t1
    csrw mscratch, t0
    li s0, 0                                /* ends the chain of frames */
    li ra, 0
    mret

park:
    wfi
    j park

/* Clobbers t1 and t2. */
clear_software_interrupt:
    csrr t1, mhartid
    slli t1, t1, 2
    li t2, CLINT_BASE
    add t2, t2, t1
    sw zero, 0(t2)
    ret

.balign 4
machine_trap:
    csrrw sp, mscratch, sp
    sd t1, 0(sp)
    sd t2, 8(sp)
    sd ra, 16(sp)
    csrr t1, mcause
    bgez t1, machine_exception
    call clear_software_interrupt
    csrsi mip, MIP_SSIP
    ld t1, 0(sp)
    ld t2, 8(sp)
    ld ra, 16(sp)
    csrrw sp, mscratch, sp
    mret

/* Nothing that supervisor mode does may end here: power off as failed, with the cause in the exit code. */
machine_exception:
    addi t1, t1, 0x40
    slli t1, t1, 16
    li t2, 0x3333
    or t1, t1, t2
    li t2, SYSCON_BASE
    sw t1, 0(t2)
    j park

.bss
.balign 32
machine_scratch:
    .space 32 * HARTS_MAX
