/*
 * An interrupt from outside, pending for the supervisor while software sets and clears another bit of mip, and over before it is
 * looked at: nothing of it may stay there. Ends by the power switch: failed with code 1 if something did.
 */
#define UART 0x10000000
#define UART_IER 1
#define THR_EMPTY 2
#define UART_SOURCE 10
#define PLIC_PRIORITY 0xc000000
#define PLIC_ENABLES 0xc002080
#define PLIC_CONTEXT 0xc201000
#define PLIC_CLAIM 4
#define SYSCON 0x100000
#define PASS 0x5555
#define FAIL 0x3333
#define SSIP 2
#define SEIP 0x200
#define MIE 8
#define ROUNDS 64

.globl _start
_start:
    csrr t0, mhartid
    bnez t0, wait
    la t0, handler
    csrw mtvec, t0
    li s0, UART
    li s1, PLIC_CONTEXT
    li t0, PLIC_PRIORITY
    li t1, 1
    sw t1, 4 * UART_SOURCE(t0)
    li t0, PLIC_ENABLES
    li t1, 1 << UART_SOURCE
    sw t1, 0(t0)
    sw zero, 0(s1)
    li t0, SSIP
    csrw mie, t0
    csrsi mstatus, MIE
    li s2, ROUNDS
    li s3, PASS
round:
    /* The transmitter has nothing to do: that is the interrupt from outside. */
    li t0, THR_EMPTY
    sb t0, UART_IER(s0)
    csrsi mip, SSIP
    sb zero, UART_IER(s0)
    lw t0, PLIC_CLAIM(s1)
    sw t0, PLIC_CLAIM(s1)
    csrr t0, mip
    andi t0, t0, SEIP
    la a0, gone
    beqz t0, say
    la a0, stays
    li s3, 1 << 16 | FAIL
say:
    lbu t0, 0(a0)
    beqz t0, next
    sb t0, 0(s0)
    addi a0, a0, 1
    j say
next:
    csrw mip, zero
    addi s2, s2, -1
    bnez s2, round
    li t0, SYSCON
    sw s3, 0(t0)
wait:
    wfi
    j wait

.balign 4
handler:
    csrci mip, SSIP
    mret

gone:
    .asciz "gone\n"
stays:
    .asciz "stays\n"
