/**
 * The frame pool: all storage of guest memory and disks, in frames of 4 KiB, reference-counted. A frame is a content; the slot
 * is where it lies. When a page that shares its frame is written, the page keeps the *slot* (so that host addresses in the TLBs stay
 * right) under a new frame, and the old frame moves to a slot of its own with a copy. A frame whose content lies outside, in a trace, has no
 * slot until somebody looks at it.
 */
import { assert, UserError } from '../base/assert.ts';
import { MEMORY_BYTES, PAGE_BYTES, POOL_BASE } from './layout.ts';

const SLOTS = Math.floor((MEMORY_BYTES - POOL_BASE) / PAGE_BYTES) - 1;
/** As many again have no slot. */
const FRAMES = 2 * SLOTS;

export class FramePool {
  readonly #memory: Uint8Array;
  /** All of the memory that the frames lie in, by host address. */
  readonly view: DataView;
  /** By frame: host address of the slot, 0 for none; references; and what a frame without slot holds. Frame 0 is none. */
  readonly #address = new Uint32Array(FRAMES + 1);
  readonly #references = new Uint32Array(FRAMES + 1);
  readonly #outside = new Int32Array(FRAMES + 1);
  readonly #freeFrames: number[] = [];
  readonly #freeSlots: number[] = [];
  #frames = 1;
  #slots = 0;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Slots that there can be, and frames. */
  readonly slotsMax = SLOTS;
  readonly framesMax = FRAMES;

  /** Frames in use, with and without slots. */
  get used(): number {
    return this.#frames - 1 - this.#freeFrames.length;
  }
  /** Slots in use. */
  get slots(): number {
    return this.#slots - this.#freeSlots.length;
  }

  /** A frame of zeros with one reference. */
  allocate(): number {
    const fresh = this.#freeSlots.length === 0;
    const frame = this.take();
    if (!fresh) this.bytes(frame).fill(0);
    // Memory that was never used is zero already; but read before it is written, it costs the system a second fault, which all threads wait for.
    else this.#memory[this.#address[frame]] = 0;
    return frame;
  }

  /** A frame with one reference, and with any content. */
  take(): number {
    return this.#frame(this.#slot());
  }

  /** A frame with one reference and without a slot; `content` says to whoever fetches it what it holds. */
  outside(content: number): number {
    const frame = this.#frame(0);
    this.#outside[frame] = content;
    return frame;
  }

  /** The same for contents with numbers in a row; returns the first of the frames, whose numbers are in a row as well. */
  outsideInRow(content: number, count: number): number {
    const first = this.#frames;
    this.#frames += count;
    if (this.#frames > FRAMES + 1) throw tooMuch();
    for (let i = 0; i < count; i++) this.#outside[first + i] = content + i;
    this.#references.fill(1, first, first + count);
    return first;
  }

  /** What a frame without a slot holds, as the number that `outside` was given. */
  outsideOf(frame: number): number {
    return this.#outside[frame];
  }

  /** Gives a frame without a slot one, with what it holds. */
  fetch(frame: number, content: Uint8Array): void {
    assert(this.#address[frame] === 0, `frame ${frame} has no slot`);
    const slot = this.#slot();
    this.#memory.set(content, slot);
    this.#address[frame] = slot;
  }

  /** Host address of a frame; 0 for one without a slot. */
  address(frame: number): number {
    return this.#address[frame];
  }

  bytes(frame: number): Uint8Array {
    const address = this.#address[frame];
    assert(address !== 0, `frame ${frame} has a slot`);
    return this.#memory.subarray(address, address + PAGE_BYTES);
  }

  references(frame: number): number {
    return this.#references[frame];
  }

  retain(frame: number): void {
    this.#references[frame]++;
  }

  release(frame: number): void {
    assert(this.#references[frame] > 0, `frame ${frame} is in use`);
    if (--this.#references[frame] > 0) return;
    this.#freeFrames.push(frame);
    if (this.#address[frame] !== 0) this.#freeSlots.push(this.#address[frame]);
  }

  /** Takes one reference off a shared frame and returns a new one with the same content, at the shared frame's old address. */
  detach(frame: number): number {
    const address = this.#address[frame];
    const copy = this.#slot();
    this.#memory.copyWithin(copy, address, address + PAGE_BYTES);
    this.#address[frame] = copy;
    this.#references[frame]--;
    return this.#frame(address);
  }

  #frame(address: number): number {
    const frame = this.#freeFrames.pop() ?? this.#frames++;
    if (frame > FRAMES) throw tooMuch();
    this.#address[frame] = address;
    this.#references[frame] = 1;
    return frame;
  }

  #slot(): number {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#slots === SLOTS) throw tooMuch();
    return POOL_BASE + PAGE_BYTES * this.#slots++;
  }
}

function tooMuch(): UserError {
  const mib = Math.floor((SLOTS * PAGE_BYTES) / 2 ** 20);
  return new UserError(
    `the machine needs more than ${mib} MiB for its memory, disks and checkpoints; give it less memory (--memory)`,
  );
}
