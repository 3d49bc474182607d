import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Uart } from '../../src/vmm/devices/uart.ts';
import { FakeHost, twin } from '../support/fake-host.ts';

const RBR = 0;
const THR = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;
const DR = 1;
const EMPTY = 0x60;

const make = (host: FakeHost) => new Uart('uart0', host);

function setUp() {
  const host = new FakeHost();
  const uart = make(host);
  const read = (offset: number) => uart.read(offset, 1);
  const write = (offset: number, value: number) => uart.write(offset, 1, value);
  return { host, uart, read, write };
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

/** Reads as a driver does: while LSR shows data. */
function readAll(read: (offset: number) => number): string {
  let text = '';
  while (read(LSR) & DR) text += String.fromCharCode(read(RBR));
  return text;
}

describe('UART', () => {
  test('registers at reset are those of QEMU', () => {
    const { read } = setUp();
    assert.deepEqual([IER, IIR, LCR, MCR, LSR, MSR, SCR].map(read), [0, 1, 0, 8, EMPTY, 0xb0, 0]);
    assert.equal(read(8), 0, 'there is nothing beyond the registers');
  });

  test('transmits at once', () => {
    const { host, read, write } = setUp();
    for (const byte of bytes('hello')) write(THR, byte);
    assert.equal(host.text, 'hello');
    assert.equal(read(LSR), EMPTY);
  });

  test('the divisor latch hides behind DLAB', () => {
    const { host, read, write } = setUp();
    write(LCR, 0x83);
    assert.deepEqual([read(0), read(1)], [12, 0]);
    write(0, 0x34);
    write(1, 0x12);
    assert.deepEqual([read(0), read(1)], [0x34, 0x12]);
    write(LCR, 3);
    assert.equal(read(IER), 0);
    assert.equal(host.text, '');
  });

  test('the interrupt of the empty holding register comes, and goes when IIR shows it', () => {
    const { host, read, write } = setUp();
    assert.equal(host.level, false);
    write(IER, 2);
    assert.equal(host.level, true);
    assert.equal(read(IIR), 2);
    assert.equal(host.level, false);
    assert.equal(read(IIR), 1);
    write(THR, 0x41);
    assert.equal(host.level, true);
    write(IER, 0);
    assert.equal(host.level, false);
    write(IER, 2);
    assert.equal(host.level, true, 'enabling it again raises it again');
  });

  test('without FIFOs one byte is there at a time, and none is lost', () => {
    const { host, uart, read, write } = setUp();
    write(IER, 1);
    uart.receive(bytes('abc'));
    assert.equal(host.level, true);
    assert.equal(read(IIR), 4);
    assert.equal(readAll(read), 'abc');
    assert.equal(host.level, false);
    assert.equal(read(RBR), 0x63, 'the buffer register keeps the last byte');
  });

  test('pasted input far longer than the FIFO arrives whole', () => {
    const { uart, read, write } = setUp();
    write(FCR, 0x81);
    const text = 'x'.repeat(5000) + 'end';
    uart.receive(bytes(text));
    assert.equal(readAll(read), text);
  });

  test('past 64 KiB the newest input is refused', () => {
    const { uart, read, write } = setUp();
    write(FCR, 1);
    uart.receive(bytes('a'.repeat(65536)));
    const { room } = uart;
    assert.equal(room, 16, 'what is in the FIFO does not wait any more');
    uart.receive(bytes('b'.repeat(100)));
    assert.equal(readAll(read), 'a'.repeat(65536) + 'b'.repeat(16));
  });

  test('the trigger level and the character timeout', () => {
    const { host, uart, read, write } = setUp();
    write(IER, 1);
    write(FCR, 0x81);
    assert.equal(read(IIR), 0xc1);
    uart.receive(bytes('1234567'));
    assert.equal(host.level, false, '7 bytes are below the level of 8');
    uart.receive(bytes('8'));
    assert.equal(read(IIR), 0xc4);
    read(RBR);
    assert.equal(host.level, false);
    // A divisor of 12 and 5 data bits make 7 bits at 19200 baud; four characters take 1.458 ms.
    host.advance(1_458_331);
    assert.equal(host.level, false);
    host.advance(10);
    assert.equal(host.level, true);
    assert.equal(read(IIR), 0xcc);
    assert.equal(readAll(read), '2345678');
    assert.equal(host.level, false);
    assert.equal(read(IIR), 0xc1);
  });

  test('clearing the FIFO empties it, but what the guest never saw comes again', () => {
    const { host, uart, read, write } = setUp();
    write(FCR, 1);
    uart.receive(bytes('typed ahead of the driver'));
    assert.equal(read(LSR) & DR, 1);
    write(FCR, 7);
    assert.equal(read(LSR) & DR, 0);
    write(FCR, 0);
    write(FCR, 1);
    assert.equal(read(LSR) & DR, 0);
    host.advance(1_000_000);
    assert.equal(readAll(read), 'typed ahead of the driver');
  });

  test('loopback: data, overrun, modem lines; outside input waits', () => {
    const { host, uart, read, write } = setUp();
    write(FCR, 1);
    write(MCR, 0x1a);
    assert.equal(read(MSR), 0x90, 'RTS shows as CTS, OUT2 as DCD');
    uart.receive(bytes('later'));
    for (let i = 0; i < 17; i++) write(THR, 0x30 + i);
    write(IER, 4);
    assert.equal(host.level, true);
    assert.equal(read(IIR), 0xc6);
    assert.equal(read(LSR), EMPTY | 2 | DR);
    assert.equal(read(LSR), EMPTY | DR, 'reading LSR clears the overrun');
    assert.equal(host.level, false);
    assert.equal(readAll(read), '0123456789:;<=>?');
    assert.equal(host.text, '', 'nothing leaves the chip');
    write(MCR, 8);
    assert.equal(readAll(read), 'later');
  });

  test('state: in the middle of reception, with an alarm set', () => {
    const { host, uart, read, write } = setUp();
    write(IER, 3);
    write(FCR, 0xc1);
    write(SCR, 0x5a);
    uart.receive(bytes('some input of more than sixteen bytes'));
    read(RBR);
    host.advance(1000);
    const copy = twin(uart, host, make);
    assert.equal(
      readAll((offset) => copy.device.read(offset, 1)),
      readAll(read),
    );
    uart.receive(bytes('tail'));
    write(FCR, 7);
    const held = twin(uart, host, make);
    held.host.advance(1e9);
    assert.equal(
      readAll((offset) => held.device.read(offset, 1)),
      'tail',
    );
  });
});
