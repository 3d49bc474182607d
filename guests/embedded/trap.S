/*
 * Where traps into supervisor mode arrive. sscratch is zero while the kernel runs and holds the hart's
 * address while a user program runs, whose tp is its own. The frame's layout is struct trap_frame's, and
 * described to debuggers, so that they can walk from the kernel into what was interrupted.
 */
#include "layout.h"

.macro each_saved operation
    .irp n, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \operation x\n, \n * 8(sp)
    .endr
.endm

.section .text.trap, "ax"
.cfi_sections .debug_frame
.globl supervisor_trap
.type supervisor_trap, @function
.balign 4
supervisor_trap:
    .cfi_startproc
    .cfi_signal_frame
    csrrw tp, sscratch, tp
    bnez tp, from_user

    csrrw tp, sscratch, zero
    addi sp, sp, -FRAME_SIZE
    sd x5, 5 * 8(sp)
    addi x5, sp, FRAME_SIZE
    sd x5, 2 * 8(sp)
    ld x5, 5 * 8(sp)
    j save

from_user:
    sd sp, HART_USER_STACK(tp)
    ld sp, HART_KERNEL_STACK(tp)
    addi sp, sp, -FRAME_SIZE
    sd x5, 5 * 8(sp)
    ld x5, HART_USER_STACK(tp)
    sd x5, 2 * 8(sp)
    csrrw x5, sscratch, zero
    sd x5, 4 * 8(sp)
    ld x5, 5 * 8(sp)

save:
    each_saved sd
    csrr t0, sepc
    sd t0, FRAME_PC(sp)
    csrr t1, sstatus
    sd t1, FRAME_STATUS(sp)

    .cfi_def_cfa sp, 0
    .cfi_return_column 64
    .cfi_offset 64, FRAME_PC
    .irp n, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .cfi_offset \n, \n * 8
    .endr
    mv a0, sp
    csrr a1, scause
    csrr a2, stval
    call trap_handle

/* Also where a new user task begins, with a frame made by hand. */
.globl trap_return
trap_return:
    csrci sstatus, 2                        /* no interrupt between here and sret */
    ld t0, FRAME_PC(sp)
    csrw sepc, t0
    ld t1, FRAME_STATUS(sp)
    csrw sstatus, t1
    andi t1, t1, 0x100                      /* SPP: where the trap came from */
    bnez t1, 1f
    addi t0, sp, FRAME_SIZE
    sd t0, HART_KERNEL_STACK(tp)
    csrw sscratch, tp
    ld x4, 4 * 8(sp)
1:  each_saved ld
    ld sp, 2 * 8(sp)
    sret
    .cfi_endproc
.size supervisor_trap, . - supervisor_trap
