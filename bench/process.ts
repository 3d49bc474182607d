/** Runs a program from outside: wall time, peak memory, and a person at its console. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Exchange } from './guests.ts';

export interface ProcessResult {
  readonly wallMs: number;
  /** From the start of the process to the first byte on its standard output; null if there was none. */
  readonly firstOutputMs: number | null;
  /** Largest resident set seen; null where the system does not tell. */
  readonly peakBytes: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const SAMPLE_MS = 50;
/** The longest guest takes a minute or two of ours; what takes longer hangs. */
const TIMEOUT_MS_DEFAULT = 15 * 60_000;

/** Runs a program to its end; a failure is an error with its last words. */
export function measure(
  program: string,
  args: readonly string[],
  script: readonly Exchange[] = [],
  timeoutMs = TIMEOUT_MS_DEFAULT,
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(program, args, {
      stdio: [script.length > 0 ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let peakBytes: number | null = null;
    let firstOutputMs: number | null = null;
    const sample = () => {
      // The system keeps the peak itself, so that only what comes after the last look is missed.
      peakBytes = peakOf(child.pid) ?? peakBytes;
    };
    const timer = setInterval(sample, SAMPLE_MS);
    const left = [...script];
    let unanswered = '';
    child.stdin?.on('error', () => {});
    child.stdout?.on('data', (chunk: Buffer) => {
      firstOutputMs ??= performance.now() - started;
      out.push(chunk);
      if (left.length === 0) return;
      unanswered += chunk.toString('latin1');
      for (;;) {
        const at = left.length > 0 ? unanswered.indexOf(left[0].expect) : -1;
        if (at < 0) break;
        unanswered = unanswered.slice(at + left[0].expect.length);
        child.stdin?.write(left.shift()?.send ?? '');
      }
    });
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('exit', () => clearInterval(timer));
    child.on('close', (code, signal) => {
      const wallMs = performance.now() - started;
      const stdout = Buffer.concat(out).toString('latin1');
      const stderr = Buffer.concat(err).toString('latin1');
      if (code === 0) return resolve({ wallMs, firstOutputMs, peakBytes, stdout, stderr });
      const words = `${stdout.slice(-1000)}\n${stderr.slice(-1000)}`;
      reject(new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}:\n${words}`));
    });
  });
}

function peakOf(pid: number | undefined): number | null {
  try {
    const match = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}
