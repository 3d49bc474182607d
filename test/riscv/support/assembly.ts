/**
 * An assembler for small test programs, made from the table of instructions that drives execution: one instruction or directive a line.
 *
 *     loop:                        # a label
 *         ld    a0, 8(s0)
 *         c.addi a1, -1            # compressed instructions by their own names
 *         bnez  a1, loop
 *         call  far_away           # auipc ra, then jalr
 *         .page                    # goes on at the next page
 *
 * Directives: `.page`, `.page-end bytes` (goes on so many bytes before a page's end), `.skip bytes`, `.half`, `.word`, `.dword` with a number or a label,
 * `.pte label, flags` (a page table entry). Pseudo-instructions: nop, li (32 bits), la, mv, j,
 * jr, call, ret, beqz, bnez.
 */
import { CSRS } from '../../../src/vmm/riscv/csr.ts';
import { INSTRUCTIONS } from '../../../src/vmm/riscv/decoder.ts';
import { F_NAMES, X_NAMES } from '../../../src/vmm/riscv/disassembler.ts';
import type { Pattern } from '../../../src/vmm/riscv/encoding.ts';
import { COMPRESSED } from '../../../src/vmm/riscv/insns/c.ts';

interface Form {
  readonly pattern: Pattern;
  readonly operands: string;
}
const FORMS = new Map<string, Form>([...COMPRESSED, ...INSTRUCTIONS].map((form) => [form.name, form]));
const ROUNDING = new Map(['rne', 'rtz', 'rdn', 'rup', 'rmm', '', '', 'dyn'].map((name, number) => [name, number]));
const DYNAMIC = 7;

export interface Assembled {
  readonly bytes: Uint8Array;
  readonly labels: ReadonlyMap<string, number>;
  /** Offsets at which instructions begin. */
  readonly starts: readonly number[];
}

interface Line {
  readonly at: number;
  readonly text: string;
}

/** Assembles a program for an address. */
export function assemble(source: string, base: number): Assembled {
  const labels = new Map<string, number>();
  const lines: Line[] = [];
  let at = 0;
  for (const raw of source.split('\n')) {
    let text = raw.replace(/#.*/, '').trim();
    for (let match = /^([\w.]+):\s*/.exec(text); match; match = /^([\w.]+):\s*/.exec(text)) {
      if (labels.has(match[1])) throw new Error(`the label ${match[1]} stands twice`);
      labels.set(match[1], base + at);
      text = text.slice(match[0].length);
    }
    for (const plain of text === '' ? [] : expand(text)) {
      lines.push({ at, text: plain });
      at += sizeOf(plain, at);
    }
  }
  const bytes = new Uint8Array(at);
  const view = new DataView(bytes.buffer);
  const starts: number[] = [];
  for (const line of lines) {
    if (!line.text.startsWith('.')) starts.push(line.at);
    place(view, line, base, labels);
  }
  return { bytes, labels, starts };
}

/** Pseudo-instructions as what they stand for. */
function expand(text: string): string[] {
  const [name, ...rest] = text.split(/\s+/);
  const [a, b, c] = operandsOf(rest.join(' '));
  switch (name) {
    case 'nop':
      return ['addi zero, zero, 0'];
    case 'mv':
      return [`addi ${a}, ${b}, 0`];
    case 'j':
      return [`jal zero, ${a}`];
    case 'jr':
      return [`jalr zero, 0(${a})`];
    case 'ret':
      return ['jalr zero, 0(ra)'];
    case 'beqz':
      return [`beq ${a}, zero, ${b}`];
    case 'bnez':
      return [`bne ${a}, zero, ${b}`];
    case 'li': {
      const value = Number(b) | 0;
      if (value >= -2048 && value < 2048) return [`addi ${a}, zero, ${value}`];
      const upper = ((value + 0x800) >>> 12) & 0xfffff;
      return [`lui ${a}, ${upper}`, `addiw ${a}, ${a}, ${(value << 20) >> 20}`];
    }
    case 'la':
      return [`auipc ${a}, %high(${b})`, `addi ${a}, ${a}, %low(${b})`];
    case 'call':
      return [`auipc ra, %high(${a})`, `jalr ra, %low(${a})(ra)`];
    default:
      return [c === undefined && a === undefined ? name : text];
  }
}

function operandsOf(text: string): string[] {
  return text === '' ? [] : text.split(',').map((part) => part.trim());
}

function formOf(name: string): Form {
  const form = FORMS.get(name.replace(/\.(aq|rl|aqrl)$/, ''));
  if (!form) throw new Error(`no instruction ${name}`);
  return form;
}

const PAGE_BYTES = 4096;

function sizeOf(text: string, at: number): number {
  const [name, argument] = text.split(/\s+/);
  switch (name) {
    case '.page':
      return PAGE_BYTES - (at % PAGE_BYTES);
    case '.page-end':
      return (2 * PAGE_BYTES - Number(argument) - (at % PAGE_BYTES)) % PAGE_BYTES;
    case '.skip':
      return Number(argument);
    case '.half':
      return 2;
    case '.word':
      return 4;
    case '.dword':
    case '.pte':
      return 8;
    default:
      return formOf(name).pattern.width / 8;
  }
}

function place(view: DataView, { at, text }: Line, base: number, labels: ReadonlyMap<string, number>): void {
  const [name, ...rest] = text.split(/\s+/);
  const number = (value: string): number => {
    const found = labels.get(value) ?? Number(value);
    if (value === '' || Number.isNaN(found)) throw new Error(`${text}: '${value}' is neither a number nor a label`);
    return found;
  };
  if (name === '.half') view.setUint16(at, number(rest[0]), true);
  else if (name === '.word') view.setUint32(at, number(rest[0]), true);
  else if (name === '.dword') view.setBigUint64(at, BigInt.asUintN(64, BigInt(labels.get(rest[0]) ?? rest[0])), true);
  else if (name === '.pte') {
    const [label, flags] = operandsOf(rest.join(' '));
    view.setBigUint64(at, (BigInt(number(label)) >> 2n) | BigInt(flags), true);
  }
  if (name.startsWith('.')) return;
  const form = formOf(name);
  const bits = encode(form, name, rest.join(' '), base + at, number);
  if (form.pattern.width === 16) view.setUint16(at, bits, true);
  else view.setUint32(at, bits, true);
}

function encode(
  { pattern, operands }: Form,
  name: string,
  text: string,
  pc: number,
  number: (value: string) => number,
) {
  const wanted = operands.split(/[,()]+/).filter((token) => token !== '' && token !== 'sp');
  const given = operandsOf(text)
    .flatMap((part) => /^([^%].*|%\w+\(.*\)|)\((\w+)\)$/.exec(part)?.slice(1) ?? [part])
    .filter((part) => part !== '' && !(part === 'sp' && operands.includes('sp')));
  let bits = pattern.match;
  const field = (fieldName: string, value: number) => {
    const primed = pattern.fields.find((f) => f.name === `${fieldName}'`);
    const found = primed ?? pattern.fields.find((f) => f.name === fieldName);
    if (!found) throw new Error(`${name} has no field ${fieldName}`);
    const inside = primed ? value - 8 : value;
    if (inside < 0 || inside >= 2 ** found.width) throw new Error(`${name} ${text}: ${fieldName} cannot be ${value}`);
    bits = (bits | (inside << found.low)) >>> 0;
  };
  const immediate = (value: number) => {
    bits = pattern.withImmediate(bits, value);
    const wrapped = pattern.immediate(bits);
    if (wrapped !== value && wrapped !== (value | 0)) throw new Error(`${name} ${text}: ${value} does not fit`);
  };
  wanted.forEach((token, i) => {
    const value = given[i];
    if (token === 'rm') {
      field('rm', value === undefined ? DYNAMIC : ROUNDING.get(value)!);
      return;
    }
    if (value === undefined) throw new Error(`${name} ${text}: ${wanted.join(', ')} expected`);
    if (/^rd|rs[123]$/.test(token)) field(token, register(X_NAMES, value));
    else if (token === 'fd') field('rd', register(F_NAMES, value));
    else if (/^fs[123]$/.test(token)) field(`r${token.slice(1)}`, register(F_NAMES, value));
    else if (token === 'target') immediate(number(value) - pc);
    else if (token === 'upper') {
      const high = relocation(value, 'high', number);
      const upper = high === null ? number(value) : (high - pc + 0x800) >> 12;
      immediate((upper << 12) | 0);
    } else if (token === 'csr') immediate((CSRS.find((csr) => csr.name === value)?.number ?? number(value)) & 0xfff);
    else if (token === 'zimm') field('rs1', number(value));
    else if (token === 'pred' || token === 'succ') field(token, fenceSet(value));
    else {
      // The low part belongs to the instruction before, which set the high one.
      const low = relocation(value, 'low', number);
      immediate(low === null ? number(value) : ((low - (pc - 4)) << 20) >> 20);
    }
  });
  const order = /\.(aq|rl|aqrl)$/.exec(name)?.[1] ?? '';
  if (order.includes('aq')) field('aq', 1);
  if (order.includes('rl')) field('rl', 1);
  return bits;
}

function relocation(value: string, kind: 'high' | 'low', number: (value: string) => number): number | null {
  const match = new RegExp(`^%${kind}\\((.*)\\)$`).exec(value);
  return match ? number(match[1]) : null;
}

function register(names: readonly string[], name: string): number {
  const found = names.indexOf(name);
  if (found < 0) throw new Error(`no register ${name}`);
  return found;
}

function fenceSet(text: string): number {
  return [...text].reduce((bits, letter) => bits | (8 >> 'iorw'.indexOf(letter)), 0);
}
