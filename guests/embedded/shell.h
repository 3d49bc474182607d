#pragma once

#include "types.h"

/* Reads commands from the serial port for ever. */
void shell(u64 unused);
