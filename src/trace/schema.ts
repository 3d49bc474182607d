/** The records of a trace that the schema describes (messages.ts), to and from what the program works with. */
import protobuf from 'protobufjs/light.js';
import { MACHINE_REVISION } from '../vmm/revision.ts';
import { TraceDamage } from './bytes.ts';
import { messages } from './messages.ts';

// Until then fields do not know whether they are packed, and whether their defaults are left out.
messages.resolveAll();
const types = new Map<string, protobuf.Type>();

function typeOf(name: string): protobuf.Type {
  const known = types.get(name);
  if (known) return known;
  const type = messages.lookupType(`chronovisor.trace.${name}`);
  types.set(name, type);
  return type;
}

type Fields = Record<string, unknown>;

export interface MachineDescription {
  isa: 'riscv64';
  harts: number;
  memoryBytes: number;
  /** Picoseconds of virtual time a step. */
  psPerStep: number;
  /** Steps that one hart takes before the next one's turn, where the schedule is fixed. */
  quantum: number;
  /** `drawn`: turns are inputs. */
  schedule: 'fixed' | 'drawn';
  clockMode: 'virtual' | 'host';
  /** The device that the person's terminal is wired to. */
  console: string;
  boot: { kind: string; kernel: string; append: string; bios: string };
  disks: { name: string; sizeBytes: number; readOnly: boolean }[];
  /** The guest's wall clock at position 0, in ns since 1970: more than 53 bits. */
  rtcOffsetNs: bigint;
  pageBytes: 4096;
  /** Of the emulated hardware (see ../vmm/revision.ts). */
  revision: number;
}

export interface TraceHeader {
  productVersion: string;
  createdMs: number;
  machine: MachineDescription;
  /** Free text about the guest, such as `['kernel release', '6.12']`. */
  notes: (readonly [key: string, value: string])[];
}

const SCHEDULES = ['fixed', 'drawn'] as const;
const END_REASONS = [
  'power-off',
  'until',
  'max-steps',
  'timeout',
  'interrupted',
  'error',
  'disk-full',
  'failure',
] as const;
export type EndReason = (typeof END_REASONS)[number];

export interface TraceEnd {
  position: number;
  timeNs: number;
  reason: EndReason;
  /** Of the guest, where it gave one. */
  exitCode?: number;
}

/** "Everything below this position is written." */
export interface Mark {
  position: number;
  timeNs: number;
}

export interface CheckpointRecord extends Mark {
  digest: Uint8Array;
  changedPages: number;
  inputsBefore: number;
  journalBefore: number;
  consoleBefore: number;
  firstChunk: number;
  /** Its changes name all pages. The first checkpoint is full, whatever it says. */
  full: boolean;
}

/**
 * Encodes by the schema. Numbers are checked by those who made them; a BigInt must come as a `Long`. The bytes are those of protobufjs's own encoders, but those are
 * generated for each type, which takes longer than all else that begins a recording.
 */
export function encode(type: string, fields: object): Uint8Array {
  const writer = protobuf.Writer.create();
  write(writer, typeOf(type), fields as Fields);
  return writer.finish();
}

/** What is written of a value in one go. */
type Scalar = 'uint32' | 'int32' | 'uint64' | 'sint64' | 'double' | 'bool' | 'string' | 'bytes';

function write(writer: protobuf.Writer, type: protobuf.Type, fields: Fields): void {
  for (const field of inOrder(type)) {
    const value = fields[field.name];
    if (value === undefined || value === null) continue;
    const { id, resolvedType } = field;
    const values = field.repeated ? (value as readonly unknown[]) : [value];
    if (resolvedType instanceof protobuf.Type) {
      for (const message of values) {
        writer.uint32(id * 8 + 2).fork();
        write(writer, resolvedType, message as Fields);
        writer.ldelim();
      }
      continue;
    }
    const scalar = resolvedType ? 'int32' : (field.type as Scalar);
    if (field.repeated && scalar in protobuf.types.packed) {
      if (values.length === 0) continue;
      writer.uint32(id * 8 + 2).fork();
      for (const one of values) writer[scalar](one as never);
      writer.ldelim();
    } else if (field.repeated || field.hasPresence || !isDefault(value)) {
      for (const one of values) writer.uint32(id * 8 + protobuf.types.basic[scalar])[scalar](one as never);
    }
  }
}

const orders = new Map<protobuf.Type, readonly protobuf.Field[]>();
function inOrder(type: protobuf.Type): readonly protobuf.Field[] {
  const known = orders.get(type);
  if (known) return known;
  const fields = type.fieldsArray.map((field) => field.resolve()).sort((a, b) => a.id - b.id);
  orders.set(type, fields);
  return fields;
}

/** What proto3 leaves out. */
function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  if (typeof value === 'object') return Object.values(value as ReturnType<typeof longOf>).every((part) => !part);
  return value === 0 || value === '' || value === false;
}

/**
 * Decodes by the schema; absent fields get protobuf's defaults. Numbers of 64 bits come as JS numbers, rounded beyond 2^53
 * (`whole` refuses those), or as decimal strings.
 */
export function decode(type: string, bytes: Uint8Array, longs: typeof Number | typeof String = Number): Fields {
  const t = typeOf(type);
  try {
    return t.toObject(t.decode(bytes), { longs, defaults: true, arrays: true });
  } catch (error) {
    throw new TraceDamage(`a ${type} record expected (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** A whole number from 0 to 2^53 - 1 out of a decoded field. */
export function whole(value: unknown, name: string): number {
  const n = Number(value);
  if (!Number.isSafeInteger(n) || n < 0) throw new TraceDamage(`${name}: ${String(value)} is out of range`);
  return n;
}

/** Bytes of a decoded field, copied so that they do not keep a whole chunk alive. */
export function bytesOf(value: unknown): Uint8Array {
  return new Uint8Array(value as Uint8Array);
}

/** What protobufjs takes in place of a BigInt. */
function longOf(value: bigint) {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return { low, high, unsigned: false };
}

export function encodeHeader(header: TraceHeader): Uint8Array {
  const { machine } = header;
  return encode('Header', {
    productVersion: header.productVersion,
    createdMs: header.createdMs,
    notes: header.notes.map(([key, value]) => ({ key, value })),
    machine: {
      ...machine,
      clockMode: machine.clockMode === 'virtual' ? 1 : 2,
      schedule: SCHEDULES.indexOf(machine.schedule),
      rtcOffsetNs: longOf(machine.rtcOffsetNs),
    },
  });
}

export function decodeHeader(bytes: Uint8Array): TraceHeader {
  const fields = decode('Header', bytes, String) as Fields & {
    machine: Fields | null;
    notes: { key: string; value: string }[];
  };
  const { machine } = fields;
  if (!machine) throw new TraceDamage('the description of the machine expected');
  if (machine.isa !== 'riscv64') throw new TraceDamage(`isa 'riscv64' expected, found '${String(machine.isa)}'`);
  if (machine.clockMode !== 1 && machine.clockMode !== 2)
    throw new TraceDamage(`unknown clock mode ${machine.clockMode}`);
  const schedule = SCHEDULES[machine.schedule as number];
  if (!schedule) throw new TraceDamage(`unknown schedule ${String(machine.schedule)}`);
  const revision = whole(machine.revision, 'revision');
  if (revision > MACHINE_REVISION) throw new TraceDamage(`unknown revision ${revision} of the machine`);
  if (machine.pageBytes !== 4096) throw new TraceDamage(`pages of 4096 bytes expected, found ${machine.pageBytes}`);
  const disks = machine.disks as { name: string; sizeBytes: string; readOnly: boolean }[];
  return {
    productVersion: fields.productVersion as string,
    createdMs: whole(fields.createdMs, 'creation time'),
    notes: fields.notes.map(({ key, value }) => [key, value] as const),
    machine: {
      isa: 'riscv64',
      harts: whole(machine.harts, 'harts'),
      memoryBytes: whole(machine.memoryBytes, 'memory size'),
      psPerStep: whole(machine.psPerStep, 'ps per step'),
      quantum: whole(machine.quantum, 'quantum'),
      schedule,
      clockMode: machine.clockMode === 1 ? 'virtual' : 'host',
      console: machine.console as string,
      boot: (machine.boot ?? { kind: '', kernel: '', append: '', bios: '' }) as MachineDescription['boot'],
      disks: disks.map((d) => ({ ...d, sizeBytes: whole(d.sizeBytes, 'disk size') })),
      rtcOffsetNs: BigInt(machine.rtcOffsetNs as string),
      pageBytes: 4096,
      revision,
    },
  };
}

export function endFields(end: TraceEnd): Fields {
  const { position, timeNs } = end;
  const fields: Fields = { position, timeNs, reason: END_REASONS.indexOf(end.reason) + 1 };
  if (end.exitCode !== undefined) fields.exitCode = end.exitCode;
  return fields;
}

export function endFrom(fields: Fields): TraceEnd {
  const reason = END_REASONS[(fields.reason as number) - 1];
  if (reason === undefined) throw new TraceDamage(`unknown end reason ${String(fields.reason)}`);
  const end: TraceEnd = { ...markFrom(fields), reason };
  if (fields.exitCode !== undefined && fields.exitCode !== null) {
    const exitCode = Number(fields.exitCode);
    if (!Number.isSafeInteger(exitCode)) throw new TraceDamage(`exit code ${String(fields.exitCode)} is out of range`);
    end.exitCode = exitCode;
  }
  return end;
}

export function markFrom(fields: Fields): Mark {
  return { position: whole(fields.position, 'position'), timeNs: whole(fields.timeNs, 'time') };
}

export function checkpointFrom(fields: Fields): CheckpointRecord {
  const digest = bytesOf(fields.digest);
  if (digest.length !== 16) throw new TraceDamage(`a digest of 16 bytes expected, found ${digest.length}`);
  return {
    ...markFrom(fields),
    digest,
    changedPages: whole(fields.changedPages, 'changed pages'),
    inputsBefore: whole(fields.inputsBefore, 'inputs before'),
    journalBefore: whole(fields.journalBefore, 'journal entries before'),
    consoleBefore: whole(fields.consoleBefore, 'console runs before'),
    firstChunk: whole(fields.firstChunk, 'first chunk'),
    full: fields.full === true,
  };
}
