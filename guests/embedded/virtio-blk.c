/*
 * A driver for a virtio block device over MMIO (virtio 1.1: 4.2 the transport, 2.6 split virtqueues,
 * 5.2 the device). One request at a time: a header, one sector, a status byte.
 */
#include "virtio-blk.h"
#include "board.h"
#include "panic.h"
#include "plic.h"
#include "print.h"
#include "riscv.h"
#include "string.h"
#include "task.h"

enum {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SELECT = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SELECT = 0x024,
    REG_QUEUE_SELECT = 0x030,
    REG_QUEUE_SIZE_MAX = 0x034,
    REG_QUEUE_SIZE = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESCRIPTORS = 0x080,
    REG_QUEUE_AVAILABLE = 0x090,
    REG_QUEUE_USED = 0x0a0,
    REG_CONFIG = 0x100,
};

#define VIRTIO_MAGIC 0x74726976
#define VIRTIO_VERSION_MODERN 2
#define DEVICE_ID_BLOCK 2
#define FEATURE_VERSION_1_HIGH 1 /* bit 32 */

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8

#define DESCRIPTOR_NEXT 1
#define DESCRIPTOR_DEVICE_WRITES 2

#define REQUEST_READ 0
#define REQUEST_WRITE 1

#define QUEUE_SIZE 8

struct descriptor {
    u64 address;
    u32 length;
    u16 flags;
    u16 next;
};

struct available_ring {
    u16 flags;
    u16 index;
    u16 ring[QUEUE_SIZE];
};

struct used_ring {
    u16 flags;
    u16 index;
    struct {
        u32 id;
        u32 length;
    } ring[QUEUE_SIZE];
};

struct request_header {
    u32 type;
    u32 reserved;
    u64 sector;
};

static struct {
    struct lock lock;
    struct wait_queue waiters;
    u64 base;
    u64 sectors;
    bool busy;
    u16 used_seen;
    struct request_header header;
    u8 data[SECTOR_SIZE];
    volatile u8 status;
    struct descriptor descriptors[QUEUE_SIZE] __attribute__((aligned(16)));
    struct available_ring available __attribute__((aligned(4)));
    volatile struct used_ring used __attribute__((aligned(4)));
} disk = { .waiters = WAIT_QUEUE(disk.waiters) };

static u32 reg_read(u32 offset)
{
    return mmio_read32(disk.base + offset);
}

static void reg_write(u32 offset, u32 value)
{
    mmio_write32(disk.base + offset, value);
}

static void reg_write_address(u32 offset, volatile void *address)
{
    reg_write(offset, (u64)address);
    reg_write(offset + 4, (u64)address >> 32);
}

static void disk_interrupt(void)
{
    u64 interrupts = lock(&disk.lock);
    reg_write(REG_INTERRUPT_ACK, reg_read(REG_INTERRUPT_STATUS));
    wake_all(&disk.waiters);
    unlock(&disk.lock, interrupts);
}

static bool find_device(u32 *slot)
{
    for (*slot = 0; *slot < VIRTIO_SLOTS; ++*slot) {
        disk.base = VIRTIO_BASE + *slot * VIRTIO_STRIDE;
        if (reg_read(REG_MAGIC) == VIRTIO_MAGIC && reg_read(REG_VERSION) == VIRTIO_VERSION_MODERN &&
            reg_read(REG_DEVICE_ID) == DEVICE_ID_BLOCK)
            return true;
    }
    return false;
}

/* Section 3.1.1: the order in which a driver brings up a device. */
void disk_init(void)
{
    u32 slot;
    if (!find_device(&slot))
        return;
    u32 status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
    reg_write(REG_STATUS, 0);
    reg_write(REG_STATUS, status);
    reg_write(REG_DRIVER_FEATURES_SELECT, 0);
    reg_write(REG_DRIVER_FEATURES, 0);
    reg_write(REG_DRIVER_FEATURES_SELECT, 1);
    reg_write(REG_DRIVER_FEATURES, FEATURE_VERSION_1_HIGH);
    status |= STATUS_FEATURES_OK;
    reg_write(REG_STATUS, status);
    if (!(reg_read(REG_STATUS) & STATUS_FEATURES_OK))
        return;

    reg_write(REG_QUEUE_SELECT, 0);
    if (reg_read(REG_QUEUE_SIZE_MAX) < QUEUE_SIZE)
        return;
    reg_write(REG_QUEUE_SIZE, QUEUE_SIZE);
    reg_write_address(REG_QUEUE_DESCRIPTORS, disk.descriptors);
    reg_write_address(REG_QUEUE_AVAILABLE, &disk.available);
    reg_write_address(REG_QUEUE_USED, &disk.used);
    reg_write(REG_QUEUE_READY, 1);
    plic_route(VIRTIO_IRQ + slot, hart_count - 1, disk_interrupt);
    reg_write(REG_STATUS, status | STATUS_DRIVER_OK);
    disk.sectors = (u64)reg_read(REG_CONFIG + 4) << 32 | reg_read(REG_CONFIG);
}

u64 disk_sectors(void)
{
    return disk.sectors;
}

/* Hands the device the three descriptors of one request and waits until it has used them. */
static bool run_request(u32 type, u64 sector)
{
    u16 direction = type == REQUEST_READ ? DESCRIPTOR_DEVICE_WRITES : 0;
    disk.header = (struct request_header){ .type = type, .sector = sector };
    disk.status = 0xff;
    disk.descriptors[0] = (struct descriptor){ (u64)&disk.header, sizeof disk.header, DESCRIPTOR_NEXT, 1 };
    disk.descriptors[1] = (struct descriptor){ (u64)disk.data, SECTOR_SIZE, DESCRIPTOR_NEXT | direction, 2 };
    disk.descriptors[2] = (struct descriptor){ (u64)&disk.status, 1, DESCRIPTOR_DEVICE_WRITES, 0 };
    disk.available.ring[disk.available.index % QUEUE_SIZE] = 0;
    memory_fence();
    disk.available.index++;
    memory_fence();
    reg_write(REG_QUEUE_NOTIFY, 0);

    while (disk.used.index == disk.used_seen)
        wait_on(&disk.waiters, &disk.lock);
    disk.used_seen++;
    memory_fence();
    return disk.status == 0;
}

static bool transfer(u32 type, u64 sector, void *read_to, const void *write_from)
{
    if (sector >= disk.sectors)
        return false;
    u64 interrupts = lock(&disk.lock);
    while (disk.busy)
        wait_on(&disk.waiters, &disk.lock);
    disk.busy = true;
    if (write_from)
        memcpy(disk.data, write_from, SECTOR_SIZE);
    bool done = run_request(type, sector);
    if (read_to)
        memcpy(read_to, disk.data, SECTOR_SIZE);
    disk.busy = false;
    wake_all(&disk.waiters);
    unlock(&disk.lock, interrupts);
    return done;
}

bool disk_read(u64 sector, void *data)
{
    return transfer(REQUEST_READ, sector, data, NULL);
}

bool disk_write(u64 sector, const void *data)
{
    return transfer(REQUEST_WRITE, sector, NULL, data);
}
