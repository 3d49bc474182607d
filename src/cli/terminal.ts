/**
 * The person's terminal as the guest's serial port: raw keys in, bytes out, and a status line below that never mixes with the guest's text.
 * Ctrl-A is the escape key: Ctrl-A x leaves, Ctrl-A h helps, Ctrl-A Ctrl-A sends one.
 */
import type { Session } from '../recorder/session.ts';
import { bytes, count, jsonValue, seconds } from './format.ts';

export interface Status {
  readonly position: number;
  readonly guestTimeNs: number;
  readonly stepsPerSecond: number;
  readonly traceBytes: number;
}

export interface TerminalOptions {
  /** Progress as JSON lines on standard output; the guest's console goes to standard error. */
  readonly json: boolean;
  /** The input comes from elsewhere: standard input is left alone. */
  readonly ownInput: boolean;
}

const ESCAPE = 0x01;
const HELP = '\r\nCtrl-A x  leave (a recording is closed)\r\nCtrl-A h  this help\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n';
/** Erases the line and returns to its start. */
const ERASE_LINE = '\r\x1b[K';

export class Terminal {
  readonly #options: TerminalOptions;
  /** Keys come from a person. */
  readonly interactive: boolean;
  readonly #statusLine: boolean;
  #statusShown = false;
  #atLineStart = true;
  #escaped = false;
  #session: Session | null = null;
  readonly #onData = (data: Uint8Array) => this.#keys(data);
  readonly #onEnd = () => this.#session?.endInput();
  readonly #onSignal = () => this.#session?.interrupt({ reason: 'interrupted' });

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.interactive = !options.ownInput && process.stdin.isTTY === true;
    this.#statusLine = !options.json && process.stdout.isTTY === true && process.stderr.isTTY === true;
  }

  start(session: Session): void {
    this.#session = session;
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
    if (this.#options.ownInput) return;
    if (this.interactive) process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onData);
    process.stdin.on('end', this.#onEnd);
    process.stdin.resume();
  }

  stop(): void {
    this.#clearStatus();
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
    if (this.#options.ownInput) return;
    process.stdin.off('data', this.#onData);
    process.stdin.off('end', this.#onEnd);
    if (this.interactive) process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdin.unref?.();
  }

  guestOutput(data: Uint8Array): void {
    this.#clearStatus();
    (this.#options.json ? process.stderr : process.stdout).write(data);
    this.#atLineStart = data[data.length - 1] === 10 || data[data.length - 1] === 13;
  }

  /** Shows how far the guest is, at most where the guest's own text has ended its line. */
  status(status: Status): void {
    if (this.#options.json) {
      process.stdout.write(`${JSON.stringify({ event: 'progress', ...status }, jsonValue)}\n`);
      return;
    }
    if (!this.#statusLine || !this.#atLineStart) return;
    const { position, guestTimeNs, stepsPerSecond, traceBytes } = status;
    const speed = `${(stepsPerSecond / 1e6).toFixed(0)} M steps/s`;
    const text = `[${count(position)} steps | ${seconds(guestTimeNs)} | ${speed} | ${bytes(traceBytes)}]`;
    process.stderr.write(`${ERASE_LINE}\x1b[7m${text.slice(0, (process.stderr.columns ?? 80) - 1)}\x1b[0m`);
    this.#statusShown = true;
  }

  /** The last word: JSON, or a sentence on standard error. */
  report(json: object, text: () => string): void {
    if (this.#options.json) process.stdout.write(`${JSON.stringify(json, jsonValue)}\n`);
    else process.stderr.write(`${this.#atLineStart ? '' : '\n'}chronovisor: ${text()}\n`);
  }

  #clearStatus(): void {
    if (!this.#statusShown) return;
    process.stderr.write(ERASE_LINE);
    this.#statusShown = false;
  }

  #keys(data: Uint8Array): void {
    if (!this.interactive) {
      this.#session?.type(data.slice());
      return;
    }
    const plain: number[] = [];
    for (const key of data) {
      if (!this.#escaped) {
        if (key === ESCAPE) this.#escaped = true;
        else plain.push(key);
        continue;
      }
      this.#escaped = false;
      if (key === ESCAPE) plain.push(key);
      else if (key === 0x78) this.#session?.interrupt({ reason: 'interrupted' });
      else if (key === 0x68) this.guestOutput(new TextEncoder().encode(HELP));
    }
    if (plain.length > 0) this.#session?.type(Uint8Array.from(plain));
  }
}
