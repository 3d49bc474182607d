/** Inputs as chunk data. They are rare beside everything else, so the schema does all the work. */
import type { Input } from '../vmm/inputs.ts';
import { PAGE_BYTES } from '../vmm/layout.ts';
import { ByteReader, TraceDamage } from './bytes.ts';
import { bytesOf, decode, encode, whole } from './schema.ts';

export interface TimedInput {
  position: number;
  input: Input;
}

export function encodeInputs(entries: readonly TimedInput[]): Uint8Array {
  let position = entries[0].position;
  const inputs = entries.map((entry) => {
    const positionDelta = entry.position - position;
    position = entry.position;
    return { positionDelta, ...inputFields(entry.input) };
  });
  return encode('Inputs', { inputs });
}

function inputFields(input: Input): object {
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
  }
}

interface InputFields {
  positionDelta: number;
  console?: { device: string; data: Uint8Array };
  clock?: { timeNs: number; psPerStep: number };
  command?: number;
  entropy?: { device: string; data: Uint8Array };
  block?: { disk: number; block: number; data: Uint8Array };
}

/** One record after the other, so that nonsense cannot make more of them than the chunk says. */
export function decodeInputs(bytes: Uint8Array, count: number, first: number): TimedInput[] {
  const reader = new ByteReader(bytes);
  const entries: TimedInput[] = [];
  let position = first;
  for (let i = 0; i < count; i++) {
    const fields = decode('Input', reader.field(1)) as unknown as InputFields;
    position = whole(position + whole(fields.positionDelta, 'position'), 'position');
    entries.push({ position, input: inputFrom(fields) });
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
  throw new TraceDamage('an input of a known kind expected');
}
