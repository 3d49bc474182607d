/*
 * void task_switch(struct context *from, struct context *to)
 *
 * Saves what a C caller expects to keep, and returns into the other task's call of this function.
 */
.macro each_kept operation, base
    \operation ra, 0(\base)
    \operation sp, 8(\base)
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    \operation s\n, 16 + \n * 8(\base)
    .endr
.endm

.text
.cfi_sections .debug_frame
.globl task_switch
.type task_switch, @function
task_switch:
    .cfi_startproc
    each_kept sd, a0
    each_kept ld, a1
    ret
    .cfi_endproc
.size task_switch, . - task_switch

/* Where a task first comes to life: task_begin never returns, and nobody called it. */
.globl task_entry
.type task_entry, @function
task_entry:
    .cfi_startproc
    .cfi_undefined ra
    mv a0, s1
    mv a1, s2
    call task_begin
    .cfi_endproc
.size task_entry, . - task_entry

/* void fpu_save(struct fpu *), void fpu_load(const struct fpu *) */
.macro each_float operation
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    \operation f\n, \n * 8(a0)
    .endr
.endm

.globl fpu_save
.type fpu_save, @function
fpu_save:
    each_float fsd
    frcsr t0
    sd t0, 256(a0)
    ret
.size fpu_save, . - fpu_save

.globl fpu_load
.type fpu_load, @function
fpu_load:
    each_float fld
    ld t0, 256(a0)
    fscsr t0
    ret
.size fpu_load, . - fpu_load
