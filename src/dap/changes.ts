/** Changes of the guest's state as a client asks for them: what becomes of an expression's bytes, and where they lie. */
import { UserError } from '../base/assert.ts';
import type { StateChange } from '../debugger/session.ts';
import { castTo, ExpressionError, evaluate, type Frame, registerName, type Target, Value } from '../symbols/index.ts';
import { isTaskThread } from './linux.ts';
import type { FrameReference, Moment } from './moment.ts';

const REGISTER_BYTES = 8;

/** What must be written for an expression to have the value of another one. */
export async function changeOf(
  moment: Moment,
  reference: FrameReference,
  text: string,
  wanted: string,
): Promise<StateChange> {
  const frame = await moment.frame(reference);
  // A task that waits has the kernel's memory in common with whoever runs.
  const waits = isTaskThread(reference.hart);
  const hart = waits ? moment.event.hart : reference.hart;
  return moment.settle((): StateChange => {
    if (text.trim() === '$pc') {
      if (frame.machine.method !== 'registers') throw outer(text);
      return { kind: 'register', hart, register: 'pc', value: numberOf(wanted, frame) };
    }
    const { value } = evaluate(text, frame);
    const { target } = value;
    if (!target) {
      if (value.storage.kind === 'register') throw outer(text);
      throw new UserError(`'${text}' is in no one place: it cannot be set`);
    }
    const bytes = bytesOf(value, target, wanted, frame);
    if (waits && (target.kind !== 'memory' || moment.spaceOf(reference.hart, target.address) !== undefined)) {
      throw new UserError(`'${text}' is of a task that waits: only the kernel's memory can be changed from there`);
    }
    if (target.kind === 'memory') return { kind: 'memory', hart, address: target.address, bytes };
    if (bytes.length > REGISTER_BYTES)
      throw new UserError(`'${text}' is in more than one register: set them one by one`);
    return { kind: 'register', hart, register: registerName(target.register), value: little(padded(value, bytes)) };
  });
}

const outer = (text: string) =>
  new UserError(
    `'${text}' is a register that functions called since may have used: only the innermost frame's can be set`,
  );

const numberOf = (text: string, frame: Frame) => BigInt.asUintN(64, evaluate(text, frame).value.raw);

/** The bytes of a value after the change: those of a bit-field with what lies around it. */
function bytesOf(value: Value, target: Target, wanted: string, frame: Frame): Uint8Array {
  const { plain, type, bits } = value;
  const given = evaluate(wanted, frame).value;
  if (plain.kind === 'struct' || plain.kind === 'array') {
    if (given.size !== value.size) {
      throw new ExpressionError(`'${wanted}' has ${given.size} bytes, ${value.size} are needed`);
    }
    return given.bytes;
  }
  const fresh = castTo(given, type);
  if (!bits) return fresh.bytes;
  const before = new Value(value.frame, type, value.storage).bytes;
  const mask = ((1n << BigInt(bits.size)) - 1n) << BigInt(bits.offset);
  const merged = (little(before) & ~mask) | ((fresh.raw << BigInt(bits.offset)) & mask);
  return Uint8Array.from({ length: target.length }, (_, i) => Number((merged >> BigInt(8 * i)) & 0xffn));
}

/** As a register holds a value that is narrower: with its sign, and floating-point numbers boxed (psABI, "Integer Calling Convention"). */
function padded({ plain }: Value, bytes: Uint8Array): Uint8Array {
  const float = plain.kind === 'base' && plain.encoding === 'float';
  const signed = plain.kind === 'base' && (plain.encoding === 'signed' || bytes.length === 4);
  const negative = signed && (bytes[bytes.length - 1] & 0x80) !== 0;
  const full = new Uint8Array(REGISTER_BYTES).fill(float || negative ? 0xff : 0);
  full.set(bytes);
  return full;
}

const little = (bytes: Uint8Array) => bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
