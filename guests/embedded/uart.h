/* The serial port. */
#pragma once

#include "types.h"

void uart_init(void);
void uart_put(char c);

/* Waits for the next character. */
char uart_get(void);
