/* A 16550A. Characters out are polled, which is quick on a virtual board; characters in interrupt. */
#include "uart.h"
#include "board.h"
#include "plic.h"
#include "riscv.h"
#include "task.h"

#define UART_DATA (UART_BASE + 0)
#define UART_INTERRUPT_ENABLE (UART_BASE + 1)
#define UART_LINE_CONTROL (UART_BASE + 3)
#define UART_MODEM_CONTROL (UART_BASE + 4)
#define UART_LINE_STATUS (UART_BASE + 5)

#define ENABLE_RECEIVE 1
#define LINE_8_BITS 3
#define MODEM_INTERRUPT_OUT 8
#define STATUS_DATA_READY 0x01
#define STATUS_TRANSMIT_EMPTY 0x20

#define INPUT_SIZE 256 /* a power of two */

static struct {
    struct lock lock;
    struct wait_queue readers;
    char buffer[INPUT_SIZE];
    u32 read;    /* these two count up for ever */
    u32 written;
    u32 dropped;
} input = { .readers = WAIT_QUEUE(input.readers) };

static void uart_interrupt(void)
{
    u64 interrupts = lock(&input.lock);
    while (mmio_read8(UART_LINE_STATUS) & STATUS_DATA_READY) {
        char c = mmio_read8(UART_DATA);
        if (input.written - input.read < INPUT_SIZE)
            input.buffer[input.written++ % INPUT_SIZE] = c;
        else
            input.dropped++;
    }
    wake_all(&input.readers);
    unlock(&input.lock, interrupts);
}

/* The FIFO stays off: turning it on would drop what was typed during boot. */
void uart_init(void)
{
    mmio_write8(UART_LINE_CONTROL, LINE_8_BITS);
    mmio_write8(UART_MODEM_CONTROL, MODEM_INTERRUPT_OUT);
    plic_route(UART_IRQ, 0, uart_interrupt);
    mmio_write8(UART_INTERRUPT_ENABLE, ENABLE_RECEIVE);
}

void uart_put(char c)
{
    while (!(mmio_read8(UART_LINE_STATUS) & STATUS_TRANSMIT_EMPTY))
        ;
    mmio_write8(UART_DATA, c);
}

char uart_get(void)
{
    u64 interrupts = lock(&input.lock);
    while (input.read == input.written)
        wait_on(&input.readers, &input.lock);
    char c = input.buffer[input.read++ % INPUT_SIZE];
    unlock(&input.lock, interrupts);
    return c;
}
