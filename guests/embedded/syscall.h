/* System calls: number in a7, arguments in a0 and a1, result in a0. Shared with user programs. */
#pragma once

#define SYS_EXIT 0
#define SYS_WRITE 1 /* address, length */
#define SYS_SLEEP 2 /* milliseconds */
#define SYS_TIME 3  /* microseconds since reset */
#define SYS_PID 4
#define SYS_YIELD 5

struct trap_frame;
void syscall_handle(struct trap_frame *frame);
