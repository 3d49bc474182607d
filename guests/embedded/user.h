/* The user programs. They are linked apart from the kernel, at addresses that only user mode can run. */
#pragma once

#include "types.h"

void user_hello(u64 argument);
void user_primes(u64 argument);
void user_fp(u64 argument);
void user_recurse(u64 argument);
void user_fault(u64 argument);

/* Where every program begins. */
void user_start(void (*program)(u64), u64 argument);
