#include "string.h"

void *memcpy(void *to, const void *from, size_t size)
{
    u8 *target = to;
    const u8 *source = from;
    while (size--)
        *target++ = *source++;
    return to;
}

void *memset(void *to, int value, size_t size)
{
    u8 *target = to;
    while (size--)
        *target++ = value;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const u8 *x = a, *y = b;
    for (; size--; x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

u64 string_length(const char *text)
{
    u64 length = 0;
    while (text[length])
        length++;
    return length;
}

bool string_equal(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return *a == *b;
}

bool string_starts(const char *text, const char *prefix)
{
    for (; *prefix; text++, prefix++)
        if (*text != *prefix)
            return false;
    return true;
}

void string_copy(char *to, const char *from, u64 size)
{
    u64 length = string_length(from);
    if (length >= size)
        length = size - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return 16;
}

bool parse_number(const char *text, u64 *value)
{
    int base = 10;
    if (string_starts(text, "0x")) {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    *value = 0;
    for (; *text; text++) {
        int digit = digit_value(*text);
        if (digit >= base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}
