/* Bytes and text. The compiler itself calls the mem functions. */
#pragma once

#include "types.h"

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

u64 string_length(const char *text);
bool string_equal(const char *a, const char *b);
bool string_starts(const char *text, const char *prefix);
void string_copy(char *to, const char *from, u64 size);

/* Reads a decimal or 0x number; false if the text is anything else. */
bool parse_number(const char *text, u64 *value);
