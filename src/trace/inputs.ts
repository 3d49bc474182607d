/**
 * Inputs as chunk data. Most are rare beside everything else, so the schema does all the work. Turns are not: those that follow each other
 * share a record, which is packed.
 *
 * A turn: a varint, (steps * HARTS_MAX + hart) * 2, plus 1 if the turn does not begin where the one before it was to end; then another
 * varint follows: how much later (times 2), or earlier (times 2, minus 1). The first of a record begins at the record's position.
 */
import type { Input, PulledInput } from '../vmm/inputs.ts';
import { HARTS_MAX, PAGE_BYTES } from '../vmm/layout.ts';
import { ByteReader, ByteWriter, TraceDamage } from './bytes.ts';
import { isTurn } from './checks.ts';
import { bytesOf, decode, encode, whole } from './schema.ts';

export interface TimedInput {
  position: number;
  input: Input;
}

export function encodeInputs(entries: readonly TimedInput[]): Uint8Array {
  let position = entries[0].position;
  const inputs: object[] = [];
  for (let i = 0; i < entries.length; ) {
    const { input } = entries[i];
    const positionDelta = entries[i].position - position;
    if (input.kind === 'turn') {
      const end = i + entries.slice(i).findIndex((entry) => entry.input.kind !== 'turn');
      const turns = entries.slice(i, end < i ? entries.length : end);
      inputs.push({ positionDelta, turns: packTurns(turns) });
      i += turns.length;
    } else {
      inputs.push({ positionDelta, ...inputFields(input) });
      i++;
    }
    position = entries[i - 1].position;
  }
  return encode('Inputs', { inputs });
}

function packTurns(entries: readonly TimedInput[]): Uint8Array {
  const writer = new ByteWriter();
  let expected = entries[0].position;
  for (const { position, input } of entries) {
    const { hart, steps } = input as Turn;
    const late = position - expected;
    const plain = (steps * HARTS_MAX + hart) * 2;
    writer.varint(late === 0 ? plain : plain + 1);
    if (late !== 0) writer.varint(late > 0 ? late * 2 : -late * 2 - 1);
    expected = position + steps;
  }
  return writer.view();
}

function* unpackTurns(bytes: Uint8Array, first: number): Generator<TimedInput> {
  const reader = new ByteReader(bytes);
  let position = first;
  while (!reader.done) {
    const word = reader.varint();
    if (word % 2 === 1) {
      const late = reader.varint();
      position += late % 2 === 0 ? late / 2 : -(late + 1) / 2;
    }
    const turn = Math.floor(word / 2);
    const [hart, steps] = [turn % HARTS_MAX, Math.floor(turn / HARTS_MAX)];
    if (!isTurn(hart, steps)) throw new TraceDamage(`a turn expected, found ${steps} steps for hart ${hart}`);
    yield { position: whole(position, 'position'), input: { kind: 'turn', hart, steps } };
    position += steps;
  }
}

type Turn = Extract<PulledInput, { kind: 'turn' }>;

function inputFields(input: Exclude<Input, Turn>): object {
  switch (input.kind) {
    case 'console':
      return { console: { device: input.device, data: input.data } };
    case 'clock':
      return { clock: { timeNs: input.timeNs, psPerStep: input.psPerStep } };
    case 'command':
      return { command: input.command === 'power-off' ? 1 : 2 };
    case 'entropy':
      return { entropy: { device: input.device, data: input.data } };
    case 'block':
      return { block: { disk: input.disk, block: input.block, data: input.data } };
    case 'memory':
      return { memory: { address: input.address, data: input.data } };
    case 'register':
      return { register: { hart: input.hart, name: input.register, value: valueBytes(input.value) } };
  }
}

function valueBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

interface InputFields {
  positionDelta: number;
  console?: { device: string; data: Uint8Array };
  clock?: { timeNs: number; psPerStep: number };
  command?: number;
  entropy?: { device: string; data: Uint8Array };
  block?: { disk: number; block: number; data: Uint8Array };
  turns?: Uint8Array;
  memory?: { address: number; data: Uint8Array };
  register?: { hart: number; name: string; value: Uint8Array };
}

/** One record after the other, so that nonsense cannot make more of them than the chunk says. */
export function decodeInputs(bytes: Uint8Array, count: number, first: number): TimedInput[] {
  const reader = new ByteReader(bytes);
  const entries: TimedInput[] = [];
  let position = first;
  while (entries.length < count) {
    const fields = decode('Input', reader.field(1)) as unknown as InputFields;
    position = whole(position + whole(fields.positionDelta, 'position'), 'position');
    if (!fields.turns) {
      entries.push({ position, input: inputFrom(fields) });
      continue;
    }
    for (const entry of unpackTurns(fields.turns, position)) {
      if (entries.length === count) throw new TraceDamage(`more than ${count} inputs found`);
      entries.push(entry);
      position = entry.position;
    }
  }
  if (!reader.done) throw new TraceDamage(`more than ${count} inputs found`);
  return entries;
}

function inputFrom(fields: InputFields): Input {
  if (fields.console) {
    return { kind: 'console', device: fields.console.device, data: bytesOf(fields.console.data) };
  }
  if (fields.clock) {
    const { timeNs, psPerStep } = fields.clock;
    return { kind: 'clock', timeNs: whole(timeNs, 'clock time'), psPerStep: whole(psPerStep, 'clock rate') };
  }
  if (fields.command === 1) return { kind: 'command', command: 'power-off' };
  if (fields.command === 2) return { kind: 'command', command: 'reset' };
  if (fields.entropy) {
    return { kind: 'entropy', device: fields.entropy.device, data: bytesOf(fields.entropy.data) };
  }
  if (fields.block) {
    const data = bytesOf(fields.block.data);
    if (data.length !== PAGE_BYTES) throw new TraceDamage(`a disk block of 4096 bytes expected, found ${data.length}`);
    return { kind: 'block', disk: fields.block.disk, block: whole(fields.block.block, 'block'), data };
  }
  if (fields.memory) {
    const { address, data } = fields.memory;
    return { kind: 'memory', address: whole(address, 'address'), data: bytesOf(data) };
  }
  if (fields.register) {
    const { hart, name, value } = fields.register;
    const bytes = bytesOf(value);
    if (bytes.length !== 8) throw new TraceDamage(`a register of 8 bytes expected, found ${bytes.length}`);
    return { kind: 'register', hart, register: name, value: new DataView(bytes.buffer).getBigUint64(0, true) };
  }
  throw new TraceDamage('an input of a known kind expected');
}
