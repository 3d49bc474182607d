/** Registers as a person reads them: floating-point ones as numbers, CSRs with their fields. */
import { EXCEPTIONS, INTERRUPTS as INTERRUPT_NAMES } from '../debugger/causes.ts';
import type { HartRegisters } from '../debugger/session.ts';
import { type Registers, registerName, type Symbols } from '../symbols/index.ts';
import { hex } from './arguments.ts';
import { symbolText } from './code.ts';

export interface RegisterText {
  readonly name: string;
  readonly text: string;
  /** For a register that can be an address. */
  readonly address?: bigint;
  /** Parts of a register that has fields. */
  readonly fields?: readonly { readonly name: string; readonly text: string }[];
}

const BOXED = 0xffffffffn;
const view = new DataView(new ArrayBuffer(8));

/** A single-precision number stands in the low half, with ones above it (unprivileged specification, "NaN Boxing of Narrower Values"). */
export function floatRegisters({ f, fcsr }: HartRegisters): RegisterText[] {
  const rows = f.map((bits, n) => {
    view.setBigUint64(0, bits);
    const number = bits >> 32n === BOXED ? `${view.getFloat32(4)}f` : String(view.getFloat64(0));
    return { name: registerName(32 + n), text: `${number} (${hex(bits)})` };
  });
  return [...rows, { name: 'fcsr', text: hex(BigInt(fcsr)), fields: fieldsOf('fcsr', BigInt(fcsr)) ?? [] }];
}

type Field = readonly [name: string, low: number, bits: number, names?: Readonly<Record<number, string>>];

const OFF_ON = { 0: 'off', 1: 'initial', 2: 'clean', 3: 'dirty' };
const MODES = { 0: 'U', 1: 'S', 3: 'M' };
const ROUNDING = { 0: 'nearest even', 1: 'to zero', 2: 'down', 3: 'up', 4: 'nearest away' };
const INTERRUPTS: readonly Field[] = [
  ...(
    [
      ['SSI', 1],
      ['MSI', 3],
      ['STI', 5],
      ['MTI', 7],
      ['SEI', 9],
      ['MEI', 11],
    ] as const
  ).map(([name, bit]): Field => [name, bit, 1]),
];
const STATUS: readonly Field[] = [
  ['SIE', 1, 1],
  ['SPIE', 5, 1],
  ['SPP', 8, 1, { 0: 'U', 1: 'S' }],
  ['FS', 13, 2, OFF_ON],
  ['SUM', 18, 1],
  ['MXR', 19, 1],
  ['SD', 63, 1],
];

/** Fields by CSR (privileged specification, chapters 3 and 12; unprivileged, "Floating-Point Control and Status Register"). */
const FIELDS: Readonly<Record<string, readonly Field[]>> = {
  sstatus: STATUS,
  mstatus: [
    ...STATUS.slice(0, 1),
    ['MIE', 3, 1],
    ['SPIE', 5, 1],
    ['MPIE', 7, 1],
    ['SPP', 8, 1, { 0: 'U', 1: 'S' }],
    ['MPP', 11, 2, MODES],
    ['FS', 13, 2, OFF_ON],
    ['MPRV', 17, 1],
    ['SUM', 18, 1],
    ['MXR', 19, 1],
    ['TVM', 20, 1],
    ['TW', 21, 1],
    ['TSR', 22, 1],
    ['SD', 63, 1],
  ],
  satp: [
    ['mode', 60, 4, { 0: 'bare', 8: 'Sv39', 9: 'Sv48', 10: 'Sv57' }],
    ['ASID', 44, 16],
    ['PPN', 0, 44],
  ],
  stvec: [
    ['base', 2, 62],
    ['mode', 0, 2, { 0: 'direct', 1: 'vectored' }],
  ],
  mtvec: [
    ['base', 2, 62],
    ['mode', 0, 2, { 0: 'direct', 1: 'vectored' }],
  ],
  sip: INTERRUPTS,
  sie: INTERRUPTS,
  mip: INTERRUPTS,
  mie: INTERRUPTS,
  mideleg: INTERRUPTS,
  fcsr: [
    ['frm', 5, 3, ROUNDING],
    ['NV', 4, 1],
    ['DZ', 3, 1],
    ['OF', 2, 1],
    ['UF', 1, 1],
    ['NX', 0, 1],
  ],
};

const INTERRUPT_BIT = 1n << 63n;
function fieldsOf(name: string, value: bigint): RegisterText['fields'] {
  return FIELDS[name]?.map(([field, low, bits, names]) => {
    const part = (value >> BigInt(low)) & ((1n << BigInt(bits)) - 1n);
    // A base is the address, not the address shifted.
    if (field === 'base') return { name: field, text: hex(part << BigInt(low)) };
    const meaning = names?.[Number(part)];
    const number = bits > 8 ? hex(part) : String(part);
    return { name: field, text: meaning === undefined ? number : `${number} (${meaning})` };
  });
}

function csrText(name: string, value: bigint, symbols: Symbols): string {
  if (name === 'scause' || name === 'mcause') {
    const code = Number(value & (INTERRUPT_BIT - 1n));
    const names = value & INTERRUPT_BIT ? INTERRUPT_NAMES : EXCEPTIONS;
    return `${hex(value)} (${names[code] ?? 'reserved'})`;
  }
  const symbol = /^[ms](epc|tvec|scratch)$/.test(name) ? symbolText(symbols, value) : null;
  return symbol === null ? hex(value) : `${hex(value)} <${symbol}>`;
}

export function controlRegisters({ csrs }: HartRegisters, symbols: Symbols): RegisterText[] {
  return Object.entries(csrs)
    .filter(([name]) => !['fcsr', 'fflags', 'frm'].includes(name))
    .map(([name, value]) => {
      const fields = fieldsOf(name, value);
      return { name, text: csrText(name, value, symbols), address: value, ...(fields ? { fields } : {}) };
    });
}

/** Registers by their DWARF numbers. */
export function registersByNumber({ pc, x, f, csrs }: HartRegisters): Registers {
  return {
    pc,
    get: (register) => {
      if (register < 32) return x[register];
      return register < 64 ? f[register - 32] : csrs[registerName(register)];
    },
  };
}
