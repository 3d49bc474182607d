/* Every hart gets a stack and floating point, and works; then hart 0 switches the machine off. */
#define SYSCON 0x100000
#define PASS 0x5555
#define STACK_SHIFT 16

.section .text.start
.globl _start
_start:
    li t0, 0x2000
    csrs mstatus, t0
    csrr a0, mhartid
    addi t0, a0, 1
    slli t0, t0, STACK_SHIFT
    la sp, stacks
    add sp, sp, t0
    call work
    bnez a0, 1f
    li t0, SYSCON
    li t1, PASS
    sw t1, 0(t0)
1:  wfi
    j 1b
