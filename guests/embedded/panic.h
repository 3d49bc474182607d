/* The end of the world, said clearly. */
#pragma once

struct trap_frame;

void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void panic_trap(const struct trap_frame *frame, unsigned long cause, unsigned long value) __attribute__((noreturn));
