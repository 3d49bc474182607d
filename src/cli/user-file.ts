/** Files that a person names on the command line. Whatever is wrong with one is told with the option that named it. */
import { closeSync, fstatSync, openSync, read, readFileSync, readSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
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

/** Reads a file whole. A pipe will do; a device, which may have no end, will not. */
export function readUserFile(option: string, path: string, maxBytes: number): Uint8Array {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    checkReadable(option, path, file, maxBytes);
    return readFileSync(file);
  } catch (error) {
    throw refusal(option, path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

/**
 * The same, read while the caller does something else: the reading has begun when this returns, however long the caller's work keeps the event
 * loop waiting. A regular file then lies in shared memory, which another thread may go on to use.
 */
export async function readUserFileMeanwhile(option: string, path: string, maxBytes: number): Promise<Uint8Array> {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const stat = checkReadable(option, path, file, maxBytes);
    if (!stat.isFile()) return readFileSync(file);
    const target = new Uint8Array(new SharedArrayBuffer(stat.size));
    let done = 0;
    for (let got = -1; done < target.length && got !== 0; done += got) {
      got = (await readInto(file, target, done, target.length - done, done)).bytesRead;
    }
    return target.subarray(0, done);
  } catch (error) {
    throw refusal(option, path, error);
  } finally {
    if (file !== null) closeSync(file);
  }
}

const readInto = promisify(read);

function checkReadable(option: string, path: string, file: number, maxBytes: number): Stats {
  const stat = fstatSync(file);
  if (stat.isDirectory()) throw new UserError(`${option} ${path}: ${REASONS.EISDIR}`);
  if (!stat.isFile() && !stat.isFIFO()) throw new UserError(`${option} ${path}: is a device; a file is needed`);
  if (stat.size > maxBytes) {
    throw new UserError(`${option} ${path}: ${bytes(stat.size)} are too much; at most ${bytes(maxBytes)} can be read`);
  }
  return stat;
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
