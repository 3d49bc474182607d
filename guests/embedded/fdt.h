/* What the kernel wants to know from the flattened device tree. */
#pragma once

#include "types.h"

struct board_facts {
    u64 ram_end;
    u32 hart_count;
    u64 timebase_frequency;
};

/* False if there is no device tree at that address. */
bool fdt_read(const void *tree, struct board_facts *facts);
