/* Formatted text, to the console or to a buffer. */
#include "print.h"
#include "lock.h"
#include "string.h"
#include "uart.h"

struct sink {
    void (*put)(struct sink *, char);
    char *at;
    char *end;
};

static struct lock console_lock;
static bool ignore_lock;

static void put_to_console(struct sink *sink, char c)
{
    (void)sink;
    if (c == '\n')
        uart_put('\r');
    uart_put(c);
}

static void put_to_buffer(struct sink *sink, char c)
{
    if (sink->at < sink->end)
        *sink->at++ = c;
}

struct field {
    u32 width;
    bool left;
    char fill;
};

static void put_field(struct sink *sink, const struct field *field, const char *text, u64 length)
{
    u64 padding = field->width > length ? field->width - length : 0;
    for (u64 i = 0; !field->left && i < padding; i++)
        sink->put(sink, field->fill);
    for (u64 i = 0; i < length; i++)
        sink->put(sink, text[i]);
    for (u64 i = 0; field->left && i < padding; i++)
        sink->put(sink, ' ');
}

static void put_number(struct sink *sink, const struct field *field, u64 value, u32 base, bool negative)
{
    char digits[24];
    char *at = digits + sizeof digits;
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        *--at = '-';
    put_field(sink, field, at, digits + sizeof digits - at);
}

static void format_to(struct sink *sink, const char *format, va_list arguments)
{
    for (; *format; format++) {
        if (*format != '%') {
            sink->put(sink, *format);
            continue;
        }
        struct field field = { .fill = ' ' };
        bool is_long = false;
        for (format++; *format == '-' || *format == '0'; format++) {
            field.left |= *format == '-';
            field.fill = *format == '0' ? '0' : field.fill;
        }
        for (; *format >= '0' && *format <= '9'; format++)
            field.width = field.width * 10 + (*format - '0');
        for (; *format == 'l'; format++)
            is_long = true;

        switch (*format) {
        case 'd': {
            int64_t value = is_long ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            put_number(sink, &field, value < 0 ? -(u64)value : (u64)value, 10, value < 0);
            break;
        }
        case 'u':
        case 'x': {
            u64 value = is_long ? va_arg(arguments, u64) : va_arg(arguments, u32);
            put_number(sink, &field, value, *format == 'u' ? 10 : 16, false);
            break;
        }
        case 's': {
            const char *text = va_arg(arguments, const char *);
            put_field(sink, &field, text, string_length(text));
            break;
        }
        case 'c': {
            char c = va_arg(arguments, int);
            put_field(sink, &field, &c, 1);
            break;
        }
        default:
            sink->put(sink, *format);
        }
    }
}

void print_arguments(const char *format, va_list arguments)
{
    struct sink console = { .put = put_to_console };
    if (ignore_lock) {
        format_to(&console, format, arguments);
        return;
    }
    u64 interrupts = lock(&console_lock);
    format_to(&console, format, arguments);
    unlock(&console_lock, interrupts);
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_arguments(format, arguments);
    va_end(arguments);
}

void print_to(char *buffer, u64 size, const char *format, ...)
{
    va_list arguments;
    struct sink sink = { .put = put_to_buffer, .at = buffer, .end = buffer + size - 1 };
    va_start(arguments, format);
    format_to(&sink, format, arguments);
    va_end(arguments);
    *sink.at = 0;
}

void print_ignore_lock(void)
{
    ignore_lock = true;
}
