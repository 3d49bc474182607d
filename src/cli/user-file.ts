/** Files that a person names on the command line. Whatever is wrong with one is told with the option that named it. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { UserError } from '../base/assert.ts';
import { bytes } from './format.ts';

const REASONS: Record<string, string> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file: a part of the path is not a folder',
  EACCES: 'permission denied: make it readable, or choose another file',
  EPERM: 'permission denied',
  EISDIR: 'is a folder; a file is needed',
  EIO: 'the disk reports an error',
  ELOOP: 'the link leads in a circle',
  ENAMETOOLONG: 'the name is too long',
};

function refusal(option: string, path: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new UserError(`${option} ${path === '' ? "''" : path}: ${REASONS[code ?? ''] ?? message}`);
}

/**
 * Reads a file whole. A pipe will do; a device, which may have no end, will not. With `shared` a regular file lies in shared memory, which another
 * thread may go on to use.
 */
export function readUserFile(option: string, path: string, maxBytes: number, shared = false): Uint8Array {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const stat = fstatSync(file);
    if (stat.isDirectory()) throw new UserError(`${option} ${path}: ${REASONS.EISDIR}`);
    if (!stat.isFile() && !stat.isFIFO()) throw new UserError(`${option} ${path}: is a device; a file is needed`);
    if (stat.size > maxBytes) {
      throw new UserError(
        `${option} ${path}: ${bytes(stat.size)} are too much; at most ${bytes(maxBytes)} can be read`,
      );
    }
    return shared && stat.isFile() ? readShared(file, stat.size) : readFileSync(file);
  } catch (error) {
    throw refusal(option, path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

function readShared(file: number, bytes: number): Uint8Array {
  const target = new Uint8Array(new SharedArrayBuffer(bytes));
  let done = 0;
  for (let got = -1; done < bytes && got !== 0; done += got) got = readSync(file, target, done, bytes - done, done);
  return target.subarray(0, done);
}

/** A file that stays open and is read in parts. */
export interface OpenFile {
  readonly bytes: number;
  /** Fills `target` from an offset on; what lies past the end of the file is left as it is. */
  read(target: Uint8Array, offset: number): void;
  close(): void;
}

export function openUserFile(option: string, path: string): OpenFile {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw refusal(option, path, error);
  }
  const stat = fstatSync(file);
  if (!stat.isFile()) {
    closeSync(file);
    throw new UserError(`${option} ${path}: ${stat.isDirectory() ? REASONS.EISDIR : 'is a device; a file is needed'}`);
  }
  return {
    bytes: stat.size,
    read: (target, offset) => {
      try {
        for (let done = 0; done < target.length; ) {
          const got = readSync(file, target, done, target.length - done, offset + done);
          if (got === 0) return;
          done += got;
        }
      } catch (error) {
        throw refusal(option, path, error);
      }
    },
    close: () => closeSync(file),
  };
}
