/* The platform's interrupt controller. */
#pragma once

#include "types.h"

/* Calls `handler` on that hart whenever the source interrupts. */
void plic_route(u32 source, u32 hart, void (*handler)(void));

/* Serves everything that is pending for this hart. */
void plic_interrupt(void);
