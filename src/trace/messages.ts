/**
 * What a trace holds, as protobuf. The text below is the contract: small records are encoded from it; the journal, the
 * console and page changes are written by hand for speed and size, in bytes that the same schema reads. The bundle has what was read from the text,
 * instead of it (scripts/bundle.mjs).
 */
import protobuf from 'protobufjs';

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
  uint32 revision = 13;         // of the emulated hardware; absent before format 4: 0
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

export const messages: protobuf.Root = protobuf.parse(PROTO).root;
