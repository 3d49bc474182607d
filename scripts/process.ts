import { type SpawnOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../src/base/assert.ts';

/** Where `name` is installed; looks beyond PATH in the administrator's folders, where Debian keeps mkfs and its like. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export function requireProgram(name: string, debianPackage: string): string {
  const path = findProgram(name);
  if (path === undefined) {
    throw new UserError(`${name} is not installed. On Debian: apt-get install ${debianPackage}`);
  }
  return path;
}

/** Runs a program to its end and returns what it printed; its failure is an error that quotes its last words. */
export function run(program: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error) => reject(new UserError(`cannot run ${program}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(Buffer.concat(out).toString());
      const words = Buffer.concat([...out, ...err])
        .toString()
        .trim()
        .split('\n')
        .slice(-12)
        .join('\n');
      reject(new UserError(`${program} ${args.join(' ')} ended with ${signal ?? code}:\n${words}`));
    });
  });
}
