/* Ends by the power switch, as failed with code 9. */
#define SYSCON 0x100000
#define FAIL 0x3333

.globl _start
_start:
    csrr t0, mhartid
    bnez t0, 1f
    li t0, SYSCON
    li t1, 9 << 16 | FAIL
    sw t1, 0(t0)
1:  wfi
    j 1b
