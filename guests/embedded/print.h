/* Text out. Conversions: %d %u %x with an optional l, %s %c %%, width, 0 and - flags. */
#pragma once

#include <stdarg.h>

#include "types.h"

void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_arguments(const char *format, va_list arguments);
void print_to(char *buffer, u64 size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* For the last words: whoever held the console may never give it back. */
void print_ignore_lock(void);
