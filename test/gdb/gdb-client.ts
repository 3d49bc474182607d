/** A real gdb, driven through its machine interface: one command after the other, each to its end. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { needTool } from '../support/tools.ts';

const PROGRAM = 'gdb-multiarch';
/** A gdb that does not answer ends its test with its last words, long before the runner loses patience. */
const TIMEOUT_MS = 120_000;

export const needGdb = (t: TestContext): boolean => needTool(t, PROGRAM, 'gdb-multiarch');

export class Gdb {
  readonly #child: ChildProcess;
  #text = '';
  #line: (line: string) => void = () => {};
  #ended = false;

  /** Starts gdb with the symbols of a file, if one is given, and connects it. */
  static async start(
    t: TestContext,
    options: { file?: string; port: number; setup?: readonly string[] },
  ): Promise<Gdb> {
    const gdb = new Gdb();
    t.after(() => gdb.#child.kill('SIGKILL'));
    await gdb.#until((line) => line.startsWith('(gdb)'));
    const setup = ['set pagination off', 'set confirm off', 'set width 0', 'set print frame-arguments none'];
    for (const command of [...setup, ...(options.setup ?? [])]) await gdb.run(command);
    if (options.file) await gdb.run(`file ${options.file}`);
    await gdb.run(`target extended-remote 127.0.0.1:${options.port}`);
    return gdb;
  }

  constructor() {
    this.#child = spawn(PROGRAM, ['-nx', '--quiet', '--interpreter=mi3'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let rest = '';
    this.#child.stdout!.on('data', (chunk: Buffer) => {
      rest += chunk.toString('utf8');
      const lines = rest.split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#line(line);
    });
    this.#child.on('close', () => {
      this.#ended = true;
      this.#line('^exit');
    });
  }

  /** Runs a command until gdb is ready for the next; gives back what it printed. A command that fails fails the test. */
  async run(command: string): Promise<string> {
    const { text, error } = await this.attempt(command);
    assert.equal(error, null, `gdb: ${command}: ${error}\n${text}`);
    return text;
  }

  /** The same, with gdb's error message if it has one. */
  async attempt(command: string): Promise<{ text: string; error: string | null }> {
    assert.ok(!this.#ended, 'gdb still runs');
    this.#text = '';
    let error: string | null = null;
    let state: 'asked' | 'running' | 'done' = 'asked';
    this.#child.stdin!.write(`-interpreter-exec console ${JSON.stringify(command)}\n`);
    await this.#until((line) => {
      if (/^\^error/.test(line)) {
        error = unquote(/msg=("(?:[^"\\]|\\.)*")/.exec(line)?.[1] ?? '""');
        state = 'done';
      } else if (/^\^running|^\*running/.test(line)) {
        state = 'running';
      } else if (/^\^(done|exit|connected)/.test(line)) {
        if (state === 'asked' || line.startsWith('^exit')) state = 'done';
      } else if (/^\*stopped/.test(line)) {
        state = 'done';
      } else if (state === 'running' && /^&"(Unable to|Cannot access)/.test(line)) {
        // Something went wrong while gdb looked at where the machine stopped: it says so, and not that it stopped.
        error = unquote(line.slice(1).trim()).trim();
        return true;
      }
      return (state === 'done' && line.startsWith('(gdb)')) || this.#ended;
    }, command);
    return { text: this.#text, error };
  }

  /** Interrupts a command that runs, as Ctrl-C does. */
  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** The value of an expression as gdb prints it. */
  async print(expression: string): Promise<string> {
    const text = await this.run(`output ${expression}`);
    return text.trim();
  }

  /** The value of an expression as a number. */
  async number(expression: string): Promise<bigint> {
    return BigInt((await this.run(`output/x ${expression}`)).trim());
  }

  async quit(): Promise<void> {
    this.#child.stdin!.write('-gdb-exit\n');
    await this.#until(() => this.#ended);
  }

  /** Reads lines until one of them is the last. */
  #until(last: (line: string) => boolean, what = 'start'): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`gdb does not answer: ${what}\n${this.#text.slice(-2000)}`)),
        TIMEOUT_MS,
      );
      this.#line = (line) => {
        if (/^[~@]"/.test(line)) this.#text += unquote(line.slice(1).trim());
        if (!last(line)) return;
        clearTimeout(timer);
        this.#line = () => {};
        resolve();
      };
    });
  }
}

/** A string as the machine interface quotes it: in the manner of C. */
function unquote(text: string): string {
  const names: Record<string, string> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };
  return text.slice(1, -1).replaceAll(/\\([0-7]{3}|.)/g, (_, c: string) => {
    return c.length === 3 ? String.fromCharCode(Number.parseInt(c, 8)) : (names[c] ?? c);
  });
}
