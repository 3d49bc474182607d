/* Offsets and sizes that assembly and C agree on; task.c asserts each of them. */
#pragma once

#define TASK_STACK_SIZE 8192

#define HART_SIZE 64
#define HART_CURRENT 0
#define HART_KERNEL_STACK 8
#define HART_USER_STACK 16

/* struct trap_frame: x1..x31 at their number times 8 (x0's slot holds the program counter). */
#define FRAME_PC 0
#define FRAME_STATUS 256
#define FRAME_SIZE 272
