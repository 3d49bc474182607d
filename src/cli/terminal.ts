/**
 * The person's terminal as the guest's serial port: raw keys in, bytes out, and a status line that never mixes with the guest's text.
 * Ctrl-A is the escape key: Ctrl-A x leaves, Ctrl-A h helps.
 */
import { constants } from 'node:os';
import type { Session } from '../recorder/session.ts';
import { BlankLine } from './blank-line.ts';
import { ConsoleOutput } from './console-output.ts';
import { bytes, count, jsonValue, seconds } from './format.ts';

export interface Status {
  readonly position: number;
  readonly guestTimeNs: number;
  /** Of late. */
  readonly stepsPerSecond: number;
  /** `null` where nothing is recorded. */
  readonly traceBytes: number | null;
}

export interface TerminalOptions {
  /** Progress as JSON lines on standard output; the guest's console goes to standard error. */
  readonly json: boolean;
  /** The input comes from elsewhere: standard input is left alone. */
  readonly ownInput: boolean;
  readonly status: () => Status;
}

const ESCAPE_KEY = 0x01;
const HELP = [
  'Ctrl-A x       leave; a recording is closed',
  'Ctrl-A s       show position, guest time, speed and size of the trace',
  'Ctrl-A h       this help',
  'Ctrl-A Ctrl-A  send Ctrl-A to the guest',
];
/** Erases the line and returns to its start. */
const ERASE_LINE = '\r\x1b[K';
const JSON_PERIOD_MS = 1000;
/** Steps a second that a guest's timer ticks alone stay below. */
const IDLE_BELOW = 500_000;
/** Ask a run to end. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Terminal {
  readonly #options: TerminalOptions;
  /** Keys come from a person. */
  readonly interactive: boolean;
  readonly #statusLine: boolean;
  readonly #line: BlankLine;
  readonly #output: ConsoleOutput;
  #statusShown = false;
  #escaped = false;
  #session: Session | null = null;
  #jsonAt = Number.NEGATIVE_INFINITY;
  /** Exit code that a signal asks for. */
  signalCode: number | null = null;
  readonly #onData = (data: Uint8Array) => this.#keys(data);
  readonly #onEnd = () => this.#session?.endInput();
  readonly #onSignal = (signal: (typeof SIGNALS)[number]) => {
    const code = 128 + constants.signals[signal];
    // Whoever asks again does not want to wait for the file.
    if (this.signalCode !== null) {
      this.#output.flush();
      process.exit(code);
    }
    this.signalCode = code;
    this.#session?.interrupt({ reason: 'interrupted' });
  };

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.interactive = !options.ownInput && process.stdin.isTTY === true;
    this.#statusLine = !options.json && process.stdout.isTTY === true && process.stderr.isTTY === true;
    this.#line = new BlankLine(() => process.stdout.rows ?? 24);
    this.#output = new ConsoleOutput(options.json ? process.stderr : process.stdout);
  }

  start(session: Session): void {
    this.#session = session;
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    if (this.#options.ownInput) return;
    if (this.interactive) {
      if (this.#statusLine) process.stderr.write('chronovisor: Ctrl-A x leaves, Ctrl-A h helps\n');
      process.stdin.setRawMode(true);
    }
    process.stdin.on('data', this.#onData);
    process.stdin.on('end', this.#onEnd);
    process.stdin.resume();
  }

  /** The guest has ended: the terminal is as it was before. Signals are still caught, until `release`. */
  stop(): void {
    this.#clearStatus();
    this.#output.flush();
    if (this.#options.ownInput) return;
    process.stdin.off('data', this.#onData);
    process.stdin.off('end', this.#onEnd);
    if (this.interactive) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdin.unref?.();
  }

  release(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  guestOutput(data: Uint8Array): void {
    this.#clearStatus();
    this.#output.write(data);
    this.#line.add(data);
  }

  /** Shows how far the guest is, where the guest's own text has left an empty line. */
  progress(): void {
    this.#output.flush();
    if (this.#options.json) {
      if (performance.now() - this.#jsonAt < JSON_PERIOD_MS) return;
      this.#jsonAt = performance.now();
      process.stdout.write(`${JSON.stringify({ event: 'progress', ...this.#options.status() })}\n`);
      return;
    }
    if (!this.#statusLine || !this.#line.blank) return;
    const text = this.#statusText().slice(0, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`${ERASE_LINE}\x1b[7m${text}\x1b[0m`);
    this.#statusShown = true;
  }

  /** The last word: JSON, or a sentence on standard error. */
  report(json: object, text: () => string): void {
    if (this.#options.json) process.stdout.write(`${JSON.stringify(json, jsonValue)}\n`);
    else process.stderr.write(`${this.#statusLine && !this.#line.atStart ? '\n' : ''}chronovisor: ${text()}\n`);
  }

  #statusText(): string {
    const { position, guestTimeNs, stepsPerSecond, traceBytes } = this.#options.status();
    const speed = stepsPerSecond < IDLE_BELOW ? 'idle' : `${(stepsPerSecond / 1e6).toFixed(0)} M steps/s`;
    const size = traceBytes === null ? [] : [bytes(traceBytes)];
    return `[${[`${count(position)} steps`, seconds(guestTimeNs), speed, ...size].join(' | ')}]`;
  }

  #clearStatus(): void {
    if (!this.#statusShown) return;
    process.stderr.write(ERASE_LINE);
    this.#statusShown = false;
  }

  /** Lines of our own among the guest's. */
  #say(lines: readonly string[]): void {
    this.guestOutput(new TextEncoder().encode(`${this.#line.atStart ? '' : '\r\n'}${lines.join('\r\n')}\r\n`));
  }

  #keys(data: Uint8Array): void {
    if (!this.interactive) {
      this.#session?.type(data.slice());
      return;
    }
    const plain: number[] = [];
    for (const key of data) {
      if (!this.#escaped) {
        if (key === ESCAPE_KEY) this.#escaped = true;
        else plain.push(key);
        continue;
      }
      this.#escaped = false;
      if (key === ESCAPE_KEY) plain.push(key);
      else if (key === 0x78) this.#session?.interrupt({ reason: 'interrupted' });
      else if (key === 0x73) this.#say([this.#statusText()]);
      else this.#say(HELP);
    }
    if (plain.length > 0) this.#session?.type(Uint8Array.from(plain));
  }
}
