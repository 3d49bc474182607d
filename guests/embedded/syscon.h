/* The board's power switch. */
#pragma once

#include "types.h"

void syscon_power_off(void) __attribute__((noreturn));
void syscon_reboot(void) __attribute__((noreturn));
void syscon_fail(u16 code) __attribute__((noreturn));
