/* The few types everything uses; there is no C library. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define KIB(n) ((u64)(n) << 10)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
