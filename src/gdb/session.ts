/**
 * A conversation in gdb's remote serial protocol: a packet in, calls to the target, a reply out. It knows neither sockets nor framing. Section
 * names in comments are those of the gdb manual's appendix on the protocol.
 */
import { Divergence, UserError } from '../base/assert.ts';
import { PACKET_BYTES_MAX } from './codec.ts';
import { crc32 } from './crc.ts';
import { hexOfBytes, hexOfText, hexOfValue, parseBytes, parseCount, parseHex, parseValue } from './hex.ts';
import { parsePoint, samePoint } from './points.ts';
import { GENERAL_COUNT, MEMORY_MAP_XML, type Register, registerList, targetXml } from './registers.ts';
import { parseResume, parseThread } from './resume.ts';
import { type Direction, type GdbTarget, type Motion, type Point, type Stop, TargetError } from './target.ts';

export interface Reply {
  /** Null: nothing is sent. */
  readonly payload: string | null;
  /** `no-ack`: from now on nothing is acknowledged. `close`: the conversation is over. */
  readonly after?: 'no-ack' | 'close';
}

const OK = 'OK';
/** A packet that is known and makes no sense. */
const MALFORMED = 'E.malformed packet';
const READ_ONLY = 'a recording cannot be changed: registers and memory are read-only';
const EFAULT = 'E0e';
const SIGINT = '02';
const SIGTRAP = '05';
const POINTS_MAX = 1024;
/** Longest piece of memory that one packet may ask to have searched or summed up. */
const SCAN_BYTES_MAX = 2 ** 31;
const SCAN_PIECE_BYTES = 2 ** 20;
/** Text for the console in one packet; more goes into several. */
const CONSOLE_CHUNK = 1000;

export class GdbSession {
  readonly #target: GdbTarget;
  /** Sends a packet that is no reply: text for the person at gdb. */
  readonly #notify: (payload: string) => void;
  readonly #registers: readonly Register[];
  readonly #points: Point[] = [];
  readonly #documents: Readonly<Record<string, () => Promise<string>>>;
  /** Harts that `g`, `m` and the like, and that `s` and the like are about; null: the one that stopped. */
  #general: number | null = null;
  #continuing: number | null = null;
  #stop: Stop | null = null;
  /** Values of registers where the machine stands now. */
  #values = new Map<number, ReadonlyMap<string, bigint>>();
  #swbreak = false;
  #hwbreak = false;
  #errorWords = false;
  #service: AbortController | null = null;

  constructor(target: GdbTarget, notify: (payload: string) => void) {
    this.#target = target;
    this.#notify = notify;
    this.#registers = registerList(target.csrs);
    this.#documents = {
      'features:read:target.xml': async () => targetXml(this.#registers),
      'memory-map:read:': async () => MEMORY_MAP_XML,
      'threads:read:': () => this.#threadsXml(),
    };
  }

  /** Ends what the packet in service does, as Ctrl-C of gdb asks; nothing happens if there is none. */
  interrupt(): void {
    this.#service?.abort();
  }

  /** Serves a packet. One at a time: the next comes when this one is answered. */
  async handle(packet: string): Promise<Reply> {
    this.#service = new AbortController();
    try {
      const answer = await this.#dispatch(packet, this.#service.signal);
      return typeof answer === 'string' ? { payload: answer } : answer;
    } catch (error) {
      if (isForPeople(error)) return { payload: errorReply(error.message) };
      throw error;
    } finally {
      this.#service = null;
    }
  }

  #dispatch(packet: string, signal: AbortSignal): string | Reply | Promise<string | Reply> {
    const rest = packet.slice(1);
    switch (packet[0]) {
      case '?':
        return this.#stopped();
      case 'g':
        return this.#readGeneral();
      case 'p':
        return this.#readRegister(rest);
      case 'G':
        return this.#writeGeneral(rest);
      case 'P':
        return this.#writeRegister(rest);
      case 'm':
        return this.#readMemory(rest);
      case 'M':
        return this.#writeMemory(rest, parseBytes);
      case 'X':
        return this.#writeMemory(rest, (data) => Buffer.from(data, 'latin1'));
      case 'H':
        return this.#chooseThread(rest);
      case 'T':
        return this.#hartOf(rest) === undefined ? 'E.no such hart' : OK;
      case 'Z':
      case 'z':
        return this.#changePoint(packet[0] === 'Z', rest);
      case 's':
      case 'S':
      case 'c':
      case 'C':
        return this.#resumeOld(packet, signal);
      case 'b':
        return this.#resumeBack(packet, signal);
      case 'v':
        return this.#verbose(packet, signal);
      case 'q':
      case 'Q':
        return this.#query(packet, signal);
      case '!':
        return this.#target.restart ? OK : '';
      case 'R':
        return this.#restartQuietly(signal);
      case 'D':
        return { payload: OK, after: 'close' };
      case 'k':
        return { payload: null, after: 'close' };
      default:
        return '';
    }
  }

  // Queries ("General Query Packets").

  #query(packet: string, signal: AbortSignal): string | Reply | Promise<string | Reply> {
    const [name, args] = splitAt(packet, /[:;,]/);
    switch (name) {
      case 'qSupported':
        return this.#supported(args);
      case 'QStartNoAckMode':
        return { payload: OK, after: 'no-ack' };
      case 'QNonStop':
        return args === '0' ? OK : 'E.non-stop mode is not possible: all harts move on one line of time';
      case 'qXfer':
        return this.#transfer(args);
      case 'qC':
        return this.#currentHart().then((hart) => `QC${threadOf(hart)}`);
      case 'qAttached':
        // gdb detaches when it quits, instead of killing.
        return '1';
      case 'qfThreadInfo':
        return `m${this.#harts().map(threadOf).join(',')}`;
      case 'qsThreadInfo':
        return 'l';
      case 'qThreadExtraInfo':
        return this.#describeThread(args);
      case 'qRcmd':
        return this.#monitor(args, signal);
      case 'qCRC':
        return this.#crc(args, signal);
      case 'qSearch':
        return this.#search(args, signal);
      default:
        return '';
    }
  }

  #supported(client: string): string {
    const features = client.split(';');
    this.#swbreak = features.includes('swbreak+');
    this.#hwbreak = features.includes('hwbreak+');
    this.#errorWords = features.includes('error-message+');
    return [
      `PacketSize=${PACKET_BYTES_MAX.toString(16)}`,
      'QStartNoAckMode+',
      'qXfer:features:read+',
      'qXfer:memory-map:read+',
      'qXfer:threads:read+',
      'ReverseStep+',
      'ReverseContinue+',
      'swbreak+',
      'hwbreak+',
      'vContSupported+',
      'ConditionalBreakpoints+',
    ].join(';');
  }

  /** A piece of a document: `object:read:annex:offset,length`. */
  async #transfer(args: string): Promise<string> {
    const match = /^([^:]+:read:[^:]*):([0-9a-fA-F]+),([0-9a-fA-F]+)$/.exec(args);
    if (!match) return /^(features|memory-map|threads):read:/.test(args) ? MALFORMED : '';
    const document = this.#documents[match[1]];
    if (!document) return match[1].startsWith('features:') ? 'E.no such part of the target description' : '';
    const offset = parseCount(match[2], 2 ** 32);
    const length = parseCount(match[3], 2 ** 32);
    if (offset === null || length === null) return MALFORMED;
    const text = await document();
    const piece = text.slice(offset, offset + Math.min(length, PACKET_BYTES_MAX - 1));
    return `${offset + piece.length < text.length ? 'm' : 'l'}${piece}`;
  }

  async #threadsXml(): Promise<string> {
    const rows: string[] = [];
    for (const hart of this.#harts()) {
      const text = escapeXml(await this.#target.describe(hart));
      rows.push(`<thread id="${threadOf(hart)}" core="${hart}" name="hart ${hart}">${text}</thread>\n`);
    }
    return `<?xml version="1.0"?>\n<threads>\n${rows.join('')}</threads>\n`;
  }

  async #describeThread(args: string): Promise<string> {
    const hart = this.#hartOf(args);
    if (hart === undefined || hart === null) return 'E.no such hart';
    return hexOfText(`hart ${hart}: ${await this.#target.describe(hart)}`);
  }

  async #monitor(args: string, signal: AbortSignal): Promise<string> {
    const { monitor } = this.#target;
    const bytes = parseBytes(args);
    if (!monitor) return '';
    if (!bytes) return MALFORMED;
    const command = Buffer.from(bytes).toString('utf8').trim();
    // The command may move the machine; for gdb the hart that it looks at remains the same.
    this.#general = await this.#currentHart();
    try {
      await monitor.call(this.#target, command, this.#print, signal);
    } catch (error) {
      // gdb shows the text of an error reply as a failure of the protocol, so what went wrong is told as output.
      if (!isForPeople(error)) throw error;
      this.#print(`${error.message}\n`);
    } finally {
      this.#moved(null);
    }
    return OK;
  }

  async #crc(args: string, signal: AbortSignal): Promise<string> {
    const range = parseRange(args, ',');
    if (!range || range.length > SCAN_BYTES_MAX) return MALFORMED;
    let sum = 0xffffffff;
    for await (const piece of this.#pieces(range, 0, signal)) {
      if (piece.bytes.length < piece.wanted) return `E.memory at 0x${piece.address.toString(16)} cannot be read whole`;
      sum = crc32(piece.bytes, sum);
    }
    return `C${sum.toString(16).padStart(8, '0')}`;
  }

  /** `memory:address;length;pattern`, the pattern as bytes. */
  async #search(args: string, signal: AbortSignal): Promise<string> {
    if (!args.startsWith('memory:')) return '';
    const match = /^memory:([^;]*;[^;]*);(.+)$/s.exec(args);
    const range = match && parseRange(match[1], ';');
    if (!match || !range || range.length > SCAN_BYTES_MAX) return MALFORMED;
    const pattern = Buffer.from(match[2], 'latin1');
    for await (const piece of this.#pieces(range, pattern.length - 1, signal)) {
      const found = Buffer.from(piece.bytes).indexOf(pattern);
      if (found >= 0) return `1,${(piece.address + BigInt(found)).toString(16)}`;
      if (piece.bytes.length < piece.wanted) {
        return `E.memory at 0x${(piece.address + BigInt(piece.bytes.length)).toString(16)} cannot be read`;
      }
    }
    return '0';
  }

  /** Memory piece by piece, each beginning with the last `overlap` bytes of the one before. */
  async *#pieces({ address, length }: Range, overlap: number, signal: AbortSignal) {
    const hart = await this.#currentHart();
    for (let at = 0; at < length; ) {
      if (signal.aborted) throw new TargetError('interrupted');
      const wanted = Math.min(SCAN_PIECE_BYTES + overlap, length - at);
      const from = BigInt.asUintN(64, address + BigInt(at));
      yield { address: from, wanted, bytes: await this.#target.memory(hart, from, wanted) };
      if (at + wanted === length) return;
      at += wanted - overlap;
    }
  }

  // Registers and memory.

  async #readGeneral(): Promise<string> {
    const values = await this.#valuesOf(await this.#currentHart());
    return this.#registers
      .slice(0, GENERAL_COUNT)
      .map((register) => registerHex(register, values))
      .join('');
  }

  async #readRegister(args: string): Promise<string> {
    const number = parseCount(args, this.#registers.length);
    if (number === null) return 'E.no such register';
    return registerHex(this.#registers[number], await this.#valuesOf(await this.#currentHart()));
  }

  async #readMemory(args: string): Promise<string> {
    const range = parseRange(args, ',');
    if (!range) return MALFORMED;
    const length = Math.min(range.length, PACKET_BYTES_MAX / 2);
    const bytes = await this.#target.memory(await this.#currentHart(), range.address, length);
    if (bytes.length > 0 || length === 0) return hexOfBytes(bytes);
    // Before gdb said that it takes errors in words, it took the words for memory here.
    return this.#errorWords ? `E.nothing can be read at 0x${range.address.toString(16)}` : EFAULT;
  }

  /** Registers that differ from what they are. */
  async #writeGeneral(args: string): Promise<string> {
    if (!this.#target.setRegister) throw new TargetError(READ_ONLY);
    const hart = await this.#currentHart();
    const before = await this.#valuesOf(hart);
    const registers = this.#registers.slice(0, GENERAL_COUNT);
    for (const [i, { name, bits }] of registers.entries()) {
      const text = args.slice((i * bits) / 4, ((i + 1) * bits) / 4);
      if (/^x*$/.test(text)) continue;
      const value = parseValue(text, bits);
      if (value === null) return MALFORMED;
      if (value !== before.get(name)) await this.#set(hart, name, value);
    }
    return OK;
  }

  async #writeRegister(args: string): Promise<string> {
    if (!this.#target.setRegister) throw new TargetError(READ_ONLY);
    const [number, text = ''] = args.split('=');
    const index = parseCount(number, this.#registers.length);
    if (index === null) return 'E.no such register';
    const { name, bits } = this.#registers[index];
    const value = parseValue(text, bits);
    if (value === null) return MALFORMED;
    await this.#set(await this.#currentHart(), name, value);
    return OK;
  }

  async #set(hart: number, name: string, value: bigint): Promise<void> {
    await this.#target.setRegister!(hart, name, value);
    this.#values.clear();
  }

  /** "M" and "X" differ in how the bytes are written. */
  async #writeMemory(args: string, bytesOf: (data: string) => Uint8Array | null): Promise<string> {
    const colon = args.indexOf(':');
    const range = parseRange(args.slice(0, Math.max(0, colon)), ',');
    const bytes = range && bytesOf(args.slice(colon + 1));
    if (!range || bytes?.length !== range.length) return MALFORMED;
    // gdb asks so whether it may send bytes as they are.
    if (bytes.length === 0) return OK;
    if (!this.#target.setMemory) throw new TargetError(READ_ONLY);
    await this.#target.setMemory(await this.#currentHart(), range.address, bytes);
    this.#values.clear();
    return OK;
  }

  async #valuesOf(hart: number): Promise<ReadonlyMap<string, bigint>> {
    let values = this.#values.get(hart);
    if (!values) {
      values = await this.#target.registers(hart);
      this.#values.set(hart, values);
    }
    return values;
  }

  // Threads: hart N is thread N + 1, because 0 means any.

  #harts(): number[] {
    return Array.from({ length: this.#target.harts }, (_, hart) => hart);
  }

  /** The hart of a thread's name; null for any or all; undefined if there is none of this name. */
  #hartOf(text: string): number | null | undefined {
    const thread = parseThread(text);
    if (thread === null) return undefined;
    if (thread <= 0) return null;
    return thread <= this.#target.harts ? thread - 1 : undefined;
  }

  #chooseThread(args: string): string {
    const hart = this.#hartOf(args.slice(1));
    if (hart === undefined) return 'E.no such hart';
    if (args[0] === 'g') this.#general = hart;
    else if (args[0] === 'c') this.#continuing = hart;
    else return '';
    return OK;
  }

  async #currentHart(): Promise<number> {
    return this.#general ?? (await this.#lastStop()).hart;
  }

  // Breakpoints and watchpoints.

  #changePoint(insert: boolean, args: string): string {
    const point = parsePoint(args);
    if (point === 'unknown') return '';
    if (point === null) return MALFORMED;
    const at = this.#points.findIndex((known) => samePoint(known, point));
    // Both are to be idempotent; a breakpoint that comes again brings its new conditions.
    if (at >= 0) this.#points.splice(at, 1);
    if (!insert) return OK;
    if (this.#points.length === POINTS_MAX)
      return `E.no more than ${POINTS_MAX} breakpoints and watchpoints are possible`;
    this.#points.push(point);
    return OK;
  }

  // Moving.

  #verbose(packet: string, signal: AbortSignal): string | Reply | Promise<string | Reply> {
    const [name, args] = splitAt(packet, /[;?]/);
    switch (name) {
      case 'vCont':
        return packet === 'vCont?' ? 'vCont;c;C;s;S;r' : this.#resumeVerbose(args, signal);
      case 'vRun':
        return this.#restart(args, signal);
      case 'vKill':
        return OK;
      default:
        return '';
    }
  }

  /** `c [ADDRESS]`, `s`, `C SIGNAL`, `S SIGNAL`. There is nobody to give a signal to. */
  #resumeOld(packet: string, signal: AbortSignal): string | Promise<string> {
    if (/^(?:[cs].|[CS][^;]*;)/.test(packet)) throw new TargetError(READ_ONLY);
    return packet[0] === 'c' || packet[0] === 'C'
      ? this.#continue('forward', signal)
      : this.#step('forward', this.#continuing, signal);
  }

  /** "bc" and "bs". */
  #resumeBack(packet: string, signal: AbortSignal): string | Promise<string> {
    if (packet === 'bc') return this.#continue('back', signal);
    if (packet === 'bs') return this.#step('back', this.#continuing, signal);
    return '';
  }

  #resumeVerbose(args: string, signal: AbortSignal): string | Promise<string> {
    const action = parseResume(args);
    if (!action) return MALFORMED;
    if (action.kind === 'continue') return this.#continue('forward', signal);
    const hart = this.#hartOf(action.thread ?? '0');
    if (hart === undefined) return 'E.no such hart';
    return this.#step('forward', hart, signal, action.range);
  }

  #continue(direction: Direction, signal: AbortSignal): Promise<string> {
    return this.#resume({ direction, how: { kind: 'continue' }, points: this.#points }, signal);
  }

  async #step(
    direction: Direction,
    of: number | null,
    signal: AbortSignal,
    range?: { start: bigint; end: bigint },
  ): Promise<string> {
    const hart = of ?? (await this.#lastStop()).hart;
    const how = range ? ({ kind: 'range', hart, ...range } as const) : ({ kind: 'step', hart } as const);
    return this.#resume({ direction, how, points: this.#points }, signal);
  }

  async #resume(motion: Motion, signal: AbortSignal): Promise<string> {
    return this.#stoppedAt(await this.#target.resume(motion, this.#print, signal));
  }

  /** `vRun;FILE;ARGUMENT;...`, in hexadecimal. The file is the guest that was recorded, whatever its name. */
  async #restart(args: string, signal: AbortSignal): Promise<string> {
    const { restart } = this.#target;
    if (!restart) return '';
    const words = args.split(';').slice(1).map(parseBytes);
    if (words.includes(null)) return MALFORMED;
    const texts = words.map((word) => Buffer.from(word!).toString('utf8'));
    return this.#stoppedAt(await restart.call(this.#target, texts, signal));
  }

  /** `R`: the protocol has no reply to it. */
  async #restartQuietly(signal: AbortSignal): Promise<Reply> {
    const { restart } = this.#target;
    if (!restart) return { payload: '' };
    this.#moved(await restart.call(this.#target, [], signal));
    return { payload: null };
  }

  /** gdb takes the hart of a stop reply for the one that `Hg` names, from then on. */
  #stoppedAt(stop: Stop): Promise<string> {
    this.#moved(stop);
    this.#general = null;
    return this.#stopReply(stop);
  }

  #moved(stop: Stop | null): void {
    this.#values.clear();
    this.#stop = stop;
  }

  async #lastStop(): Promise<Stop> {
    this.#stop ??= await this.#target.where();
    return this.#stop;
  }

  async #stopped(): Promise<string> {
    return this.#stoppedAt(await this.#lastStop());
  }

  /** "Stop Reply Packets". The registers that gdb asks for at every stop come along. */
  async #stopReply(stop: Stop): Promise<string> {
    const values = await this.#valuesOf(stop.hart);
    const expedited = this.#registers.flatMap((register, number) =>
      EXPEDITED.has(register.name) ? [`${number.toString(16)}:${registerHex(register, values)};`] : [],
    );
    const signal = stop.reason === 'interrupted' ? SIGINT : SIGTRAP;
    return `T${signal}${this.#stopReason(stop)}thread:${threadOf(stop.hart)};${expedited.join('')}`;
  }

  #stopReason(stop: Stop): string {
    switch (stop.reason) {
      case 'breakpoint':
        if (stop.point.how === 'software') return this.#swbreak ? 'swbreak:;' : '';
        return this.#hwbreak ? 'hwbreak:;' : '';
      case 'watchpoint':
        return `${WATCH_WORDS[stop.point.access]}:${stop.address.toString(16)};`;
      case 'begin':
      case 'end':
        return `replaylog:${stop.reason};`;
      case 'done':
      case 'interrupted':
        return '';
    }
  }

  /** `O` packets: text that gdb shows as the target's own. */
  readonly #print = (text: string): void => {
    for (let at = 0; at < text.length; at += CONSOLE_CHUNK) {
      this.#notify(`O${hexOfText(text.slice(at, at + CONSOLE_CHUNK))}`);
    }
  };
}

const EXPEDITED = new Set(['ra', 'sp', 'fp', 'pc']);
const WATCH_WORDS = { write: 'watch', read: 'rwatch', access: 'awatch' } as const;

const threadOf = (hart: number): string => (hart + 1).toString(16);

interface Range {
  readonly address: bigint;
  readonly length: number;
}

/** `ADDRESS,LENGTH`. */
function parseRange(text: string, separator: string): Range | null {
  const parts = text.split(separator);
  const address = parseHex(parts[0]);
  const length = parts.length === 2 ? parseCount(parts[1], Number.MAX_SAFE_INTEGER) : null;
  return address === null || length === null ? null : { address, length };
}

/** A register's value, or `x` for each digit if the target does not have it. */
function registerHex(register: Register, values: ReadonlyMap<string, bigint>): string {
  const value = values.get(register.name);
  return value === undefined ? 'x'.repeat(register.bits / 4) : hexOfValue(value, register.bits);
}

/** Not a bug of ours: something to be told to whoever asked. */
function isForPeople(error: unknown): error is Error {
  return error instanceof TargetError || error instanceof UserError || error instanceof Divergence;
}

/** An error in words, in one line of printable ASCII as the protocol wants it. */
export function errorReply(message: string): string {
  return `E.${message.replaceAll(/[^\x20-\x7e]+/g, ' ')}`;
}

function splitAt(text: string, separator: RegExp): [string, string] {
  const at = text.search(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
