/**
 * What a trace holds, as protobuf. The text below is the contract: small records are encoded from it; the journal, the
 * console and page changes are written by hand for speed and size, in bytes that the same schema reads.
 */
import protobuf from 'protobufjs';
import { TraceDamage } from './bytes.ts';

const PROTO = `
syntax = "proto3";
package chronovisor.trace;

message Header {
  string product_version = 1;
  uint64 created_ms = 2;        // since 1970
  Machine machine = 3;
  repeated Note notes = 4;      // what a person wants to know of the guest
}
message Note { string key = 1; string value = 2; }
message Machine {
  string isa = 1;               // "riscv64"
  uint32 harts = 2;
  uint64 memory_bytes = 3;
  uint64 ps_per_step = 4;       // picoseconds of virtual time a step
  uint64 quantum = 5;           // steps of one hart before the next
  ClockMode clock_mode = 6;
  string console = 7;           // device
  Boot boot = 8;
  repeated Disk disks = 9;
  sint64 rtc_offset_ns = 10;    // since 1970, at position 0
  uint32 page_bytes = 11;
  Schedule schedule = 12;       // absent before format 2: fixed
}
enum Schedule { SCHEDULE_FIXED = 0; SCHEDULE_DRAWN = 1; }
enum ClockMode { CLOCK_UNKNOWN = 0; CLOCK_VIRTUAL = 1; CLOCK_HOST = 2; }
message Boot { string kind = 1; string kernel = 2; string append = 3; string bios = 4; }
message Disk { string name = 1; uint64 size_bytes = 2; bool read_only = 3; }

message Inputs { repeated Input inputs = 1; }
message Input {
  uint64 position_delta = 1;    // since the input before; the first: since the chunk's first position
  oneof input {
    DeviceBytes console = 2;
    Clock clock = 3;
    Command command = 4;
    DeviceBytes entropy = 5;
    Block block = 6;
    bytes turns = 7;            // varints, one or two a turn: see inputs.ts
    Memory memory = 8;          // since format 3, as is the next
    Register register = 9;
  }
}
message DeviceBytes { string device = 1; bytes data = 2; }
message Clock { uint64 time_ns = 1; uint64 ps_per_step = 2; }
enum Command { COMMAND_UNKNOWN = 0; COMMAND_POWER_OFF = 1; COMMAND_RESET = 2; }
message Memory { uint64 address = 1; bytes data = 2; }  // physical
message Register { uint32 hart = 1; string name = 2; bytes value = 3; }  // 8 bytes, little-endian
message Block { uint32 disk = 1; uint64 block = 2; bytes data = 3; }

// Columns of equal length. A source is a distinct (kind, hart, code) of the chunk.
message Journal {
  repeated uint64 source_table = 1;     // kind, hart, code; kind, hart, code; ...
  repeated uint64 sources = 2;          // index into the table / 3
  repeated uint64 position_deltas = 3;  // since the entry before; the first: since the chunk's first position
  repeated sint64 position_drifts = 4;  // instead of 3 where shorter: against the same source's last distance
  repeated sint64 value_deltas = 5;     // against the same source's last value
}

message Console {
  repeated string devices = 1;
  repeated uint64 position_deltas = 2;
  repeated uint64 lengths = 3;          // bytes of each run
  repeated uint64 device_indexes = 4;
  bytes data = 5;                       // of all runs
}

message Changes {
  uint64 first_content = 1;     // number of the first page content that is new here
  repeated uint64 page_deltas = 2;
  repeated uint64 refs = 3;     // 0 absent, 1 all zero, 2 the next new content, 3 + n content n
  bytes hashes = 4;             // 16 bytes a change
}

message Checkpoint {
  uint64 position = 1;
  uint64 time_ns = 2;
  bytes digest = 3;
  uint64 changed_pages = 4;
  uint64 inputs_before = 5;     // how many inputs the state already contains
  uint64 journal_before = 6;
  uint64 console_before = 7;    // runs
  uint64 first_chunk = 8;       // where its pages begin
  bool full = 9;                // its changes name all pages, so that no earlier ones are needed
}

message Mark { uint64 position = 1; uint64 time_ns = 2; }

message End {
  uint64 position = 1;
  uint64 time_ns = 2;
  EndReason reason = 3;
  optional sint64 exit_code = 4;
}
enum EndReason {
  END_UNKNOWN = 0; POWER_OFF = 1; UNTIL = 2; MAX_STEPS = 3; TIMEOUT = 4; INTERRUPTED = 5; ERROR = 6; DISK_FULL = 7;
  FAILURE = 8;                  // what a hunt looks for was seen
}

// A copy of all chunk headers before it, and of the records that make opening quick.
message Index {
  repeated uint64 types = 1;
  repeated uint64 codecs = 2;
  repeated uint64 counts = 3;
  repeated uint64 raw_bytes = 4;
  repeated uint64 stored_bytes = 5;
  repeated double firsts = 6;
  repeated double lasts = 7;
  repeated Checkpoint checkpoints = 8;
  End end = 9;
}
`;

const root = protobuf.parse(PROTO).root;
const types = new Map<string, protobuf.Type>();

function typeOf(name: string): protobuf.Type {
  const known = types.get(name);
  if (known) return known;
  const type = root.lookupType(`chronovisor.trace.${name}`);
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

/** Encodes by the schema. Numbers are checked by those who made them; a BigInt must come as a `Long`. */
export function encode(type: string, fields: object): Uint8Array {
  return typeOf(type).encode(fields).finish();
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
