/* The memory map of QEMU's `virt` machine. Also included by assembly. */
#pragma once

#define HARTS_MAX 8

#define SYSCON_BASE 0x100000
#define CLINT_BASE 0x2000000
#define PLIC_BASE 0xc000000
#define UART_BASE 0x10000000
#define VIRTIO_BASE 0x10001000
#define VIRTIO_STRIDE 0x1000
#define VIRTIO_SLOTS 8
#define RAM_BASE 0x80000000

#define VIRTIO_IRQ 1 /* of slot 0; the others follow */
#define UART_IRQ 10
