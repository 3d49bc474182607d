/* The disk, if there is one. */
#pragma once

#include "types.h"

#define SECTOR_SIZE 512

void disk_init(void);
u64 disk_sectors(void); /* 0: no disk */

/* Both wait for the device, and say whether it succeeded. */
bool disk_read(u64 sector, void *data);
bool disk_write(u64 sector, const void *data);
