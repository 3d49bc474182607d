/** The memory of a process: its page tables, and which file is where. */
import { type MemoryReader, registerNumber, Unavailable } from '../symbols/index.ts';
import { programBuildId } from './build-id.ts';
import type { Kernel } from './kernel.ts';
import { collect, type Found, hex, Walk } from './list.ts';
import type { KernelObject } from './object.ts';
import { pathOf } from './path.ts';
import type { Task } from './tasks.ts';

/** A part of a process's memory: `struct vm_area_struct`, as a line of /proc/PID/maps. */
export interface Mapping {
  readonly start: bigint;
  /** The first address behind it. */
  readonly end: bigint;
  /** `rwxp`, with `-` for what is not allowed, and `s` in the place of `p` for memory that is shared. */
  readonly access: string;
  /** Path of the file that is there, in the guest; null for none. */
  readonly path: string | null;
  /** Bytes of the file before the first that is mapped here. */
  readonly fileOffset: bigint;
}

/** Flags of a mapping (include/linux/mm.h). */
const ACCESS = [
  [1n, 'r'],
  [2n, 'w'],
  [4n, 'x'],
] as const;
const VM_SHARED = 8n;
const PAGE_BYTES = 4096n;

/** The mappings of a task's memory, by address; none for a kernel thread. */
export function mappingsOf(kernel: Kernel, { object, pid }: Task): Found<Mapping> {
  const mm = object.at('mm');
  if (mm.pointer === 0n) return { items: [], problem: null };
  return collect(function* () {
    for (const area of areasOf(kernel, mm.deref(), `the memory map of task ${pid}`)) yield readMapping(kernel, area);
  });
}

/**
 * What is another one whenever a task's mappings are: which memory it is, and how much. Since Linux 6.4 the kernel counts how often they were locked to be
 * changed.
 */
export function mappingsMark({ object }: Task): string {
  const mm = object.at('mm');
  if (mm.pointer === 0n) return '';
  const memory = mm.deref();
  const parts = ['pgd', 'map_count', 'total_vm', 'brk', 'start_code', 'mm_mt.ma_root', 'mm_lock_seq', 'mmap'];
  const known = parts.filter((part) => memory.has(part)).map((part) => memory.at(part));
  return [mm.pointer, ...known.map((part) => part.value.raw)].join();
}

function readMapping(kernel: Kernel, area: KernelObject): Mapping {
  const flags = area.at('vm_flags').big;
  const file = area.at('vm_file');
  return {
    start: area.at('vm_start').pointer,
    end: area.at('vm_end').pointer,
    access: ACCESS.map(([bit, letter]) => (flags & bit ? letter : '-')).join('') + (flags & VM_SHARED ? 's' : 'p'),
    path: file.pointer === 0n ? null : pathOf(kernel, file.deref().at('f_path')),
    fileOffset: area.at('vm_pgoff').big * PAGE_BYTES,
  };
}

function* areasOf(kernel: Kernel, mm: KernelObject, name: string): Generator<KernelObject> {
  if (mm.has('mm_mt')) {
    yield* mapleEntries(kernel, mm.at('mm_mt.ma_root').pointer, name);
    return;
  }
  // A list, up to Linux 6.0.
  const walk = new Walk(name);
  let from = mm.address;
  for (let at = mm.at('mmap').pointer; at !== 0n; ) {
    walk.visit(at, from);
    const area = kernel.object('struct vm_area_struct', at);
    yield area;
    from = at;
    at = area.at('vm_next').pointer;
  }
}

/** Pointers to nodes of a maple tree (lib/maple_tree.c): nodes are 256 bytes apart, and the low bits tell their kind. */
const NODE_MASK = 0xffn;
const NODE_KINDS = { leaf: 1n, range: 2n, arange: 3n } as const;
const DEPTH_MAX = 16;
const LAST = 2n ** 64n - 1n;
/** Numbers in the place of an entry are the tree's own. */
const ENTRY_MIN = 4096n;

/** The entries of a maple tree, in their order. */
function* mapleEntries(kernel: Kernel, root: bigint, name: string): Generator<KernelObject> {
  const walk = new Walk(name);
  const isNode = (entry: bigint) => (entry & 3n) === 2n && entry > ENTRY_MIN;
  if (isNode(root)) yield* below(root, 0n, LAST, 0);
  else if (root !== 0n) yield kernel.object('struct vm_area_struct', root);

  function* below(entry: bigint, min: bigint, max: bigint, depth: number): Generator<KernelObject> {
    const address = entry & ~NODE_MASK;
    if (depth === DEPTH_MAX) throw new Unavailable(`${name} is garbled: it is deeper than ${DEPTH_MAX} nodes`);
    walk.visit(address, root);
    const kind = (entry >> 3n) & 15n;
    const node = kernel.object('struct maple_node', address);
    const part = kind === NODE_KINDS.arange ? node.at('ma64') : node.at('mr64');
    if (kind < NODE_KINDS.leaf || kind > NODE_KINDS.arange) {
      throw new Unavailable(`${name} is garbled: the node at ${hex(address)} is of kind ${kind}`);
    }
    const [pivots, slots] = [part.at('pivot'), part.at('slot')];
    const [pivotCount, slotCount] = [pivots, slots].map(({ value: { plain } }) =>
      plain.kind === 'array' ? (plain.count ?? 0) : 0,
    );
    let low = min;
    for (let i = 0; i < slotCount; i++) {
      const pivot = i < pivotCount ? pivots.element(i).pointer : 0n;
      // Where a node is not full, a pivot of 0 says that the last slot reaches to the node's end.
      const high = pivot === 0n && i > 0 ? max : i < pivotCount ? pivot : max;
      if (high < low || high > max) {
        throw new Unavailable(`${name} is garbled: the node at ${hex(address)} is not in order`);
      }
      const slot = slots.element(i).pointer;
      if (kind === NODE_KINDS.leaf) {
        if (slot > ENTRY_MIN) yield kernel.object('struct vm_area_struct', slot);
      } else if (slot > ENTRY_MIN) yield* below(slot, low, high, depth + 1);
      if (high === max) return;
      low = high + 1n;
    }
  }
}

const SATP = registerNumber('satp')!;
const SATP_MODE = 0xfn << 60n;

/** A program or library in a process. */
export interface Program {
  /** In the guest. */
  readonly path: string;
  /** Where the first byte of its file is in memory, or would be. */
  readonly start: bigint;
  /** Null where it has none, or it is not in memory now. */
  readonly buildId: string | null;
}

/** Those among a task's mappings whose paths are wanted. */
export function programsOf(
  kernel: Kernel,
  task: Task,
  mappings: readonly Mapping[],
  wanted: (path: string) => boolean,
): Program[] {
  const programs = new Map<string, Program>();
  for (const { path, start, fileOffset } of mappings) {
    if (path === null || programs.has(path) || !wanted(path)) continue;
    const first = start - fileOffset;
    programs.set(path, { path, start: first, buildId: programBuildId(memoryOf(kernel, task), first) });
  }
  return [...programs.values()];
}

/** Page tables by which a task sees memory, as a value of `satp`; a kernel thread sees what all see. */
export function satpOf(kernel: Kernel, { object, hart }: Task): bigint {
  if (hart !== null) return kernel.machine.harts[hart].registers.get(SATP) ?? kernel.satp;
  const mm = object.at('mm');
  if (mm.pointer === 0n) return kernel.satp;
  const root = mm.deref().at('pgd').pointer;
  // The linear map, in which all of memory lies (arch/riscv/include/asm/page.h); a variable of its own before 5.13.
  const offset = kernel.find('kernel_map')?.at('va_pa_offset') ?? kernel.need('va_pa_offset');
  return (kernel.satp & SATP_MODE) | (BigInt.asUintN(64, root - offset.big) >> 12n);
}

export function memoryOf(kernel: Kernel, task: Task): MemoryReader {
  return kernel.machine.memory(satpOf(kernel, task));
}

const ROOT = SATP_MODE | ((1n << 44n) - 1n);

/** Symbols of a process's programs are found in an address space of this name, which ends with its page tables as a value of `satp`. */
export function spaceOf(kernel: Kernel, task: Task): string {
  return `user ${task.process} ${hex(satpOf(kernel, task) & ROOT)}`;
}

/** Page tables of an address space by its name; undefined for what is none of a process. */
export function satpOfSpace(space: string | null): bigint | undefined {
  const root = /^user \d+ (0x[0-9a-f]+)$/.exec(space ?? '')?.[1];
  return root === undefined ? undefined : BigInt(root);
}
