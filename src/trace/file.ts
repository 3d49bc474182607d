/** The trace on disk: the few operations that writing needs, and how a new file comes into being. */
import fs from 'node:fs';
import path from 'node:path';
import { UserError } from '../base/assert.ts';

/** What the writer needs of a file. All throw on failure, with the system's `code`. */
export interface TraceFile {
  write(bytes: Uint8Array, offset: number): void;
  truncate(length: number): void;
  close(): void;
}

/** Writing the trace failed; `code` is the system's, such as 'ENOSPC'. */
export class TraceWriteError extends UserError {
  override name = 'TraceWriteError';
  readonly code: string;
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

export class DiskFile implements TraceFile {
  readonly #fd: number;
  constructor(fd: number) {
    this.#fd = fd;
  }
  write(bytes: Uint8Array, offset: number) {
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
    }
  }
  truncate(length: number) {
    fs.ftruncateSync(this.#fd, length);
  }
  /** Waits until all is on the disk, whatever happens to the system: what takes another file's place must be. */
  sync() {
    fs.fsyncSync(this.#fd);
  }
  close() {
    fs.closeSync(this.#fd);
  }
}

/** A file being made, and where it goes once it is worth having. */
export interface NewFile {
  fd: number;
  path: string;
  /** The name it has until `publish`; undefined if it has its own at once. */
  temporary?: string;
}

/**
 * Creates `path`. An existing file is refused unless `force`; with it the new one grows under another name in the same
 * folder and takes the old one's place when it has something to replay, so that a failure before leaves the old one be.
 */
export function createFile(file: string, force: boolean): NewFile {
  try {
    return { fd: fs.openSync(file, 'wx'), path: file };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw new UserError(`cannot write ${file}: ${explain(error)}`);
    if (!force) throw new UserError(`${file} exists: choose another name, or replace it with --force`);
  }
  try {
    const target = fs.realpathSync(file);
    if (!fs.statSync(target).isFile()) throw new UserError(`${file} is not a regular file: choose another name`);
    const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${process.pid}.new`);
    fs.rmSync(temporary, { force: true });
    return { fd: fs.openSync(temporary, 'wx'), path: target, temporary };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot replace ${file}: ${explain(error)}`);
  }
}

/** Gives a new file its final name. */
export function publish(file: NewFile) {
  if (file.temporary !== undefined) fs.renameSync(file.temporary, file.path);
  delete file.temporary;
}

/** Removes a new file that holds nothing to replay. */
export function discard(file: NewFile) {
  fs.rmSync(file.temporary ?? file.path, { force: true });
}

/** Random access to a trace being read. */
export interface TraceSource {
  readonly size: number;
  /** Fills `target` from `offset` on, and returns how many bytes there were. */
  read(target: Uint8Array, offset: number): number;
  close(): void;
}

export class DiskSource implements TraceSource {
  readonly size: number;
  readonly #fd: number;
  readonly #path: string;
  constructor(file: string) {
    this.#path = file;
    try {
      this.#fd = fs.openSync(file, 'r');
    } catch (error) {
      throw new UserError(`cannot read ${file}: ${explain(error)}`);
    }
    const stat = fs.fstatSync(this.#fd);
    this.size = stat.size;
    if (!stat.isFile()) {
      fs.closeSync(this.#fd);
      throw new UserError(`${file} is not a regular file: a trace expected`);
    }
  }
  read(target: Uint8Array, offset: number): number {
    let done = 0;
    try {
      while (done < target.length) {
        const got = fs.readSync(this.#fd, target, done, target.length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
    } catch (error) {
      throw new UserError(`cannot read ${this.#path} at offset ${offset}: ${explain(error)}`);
    }
    return done;
  }
  close() {
    fs.closeSync(this.#fd);
  }
}

export class MemorySource implements TraceSource {
  readonly #bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get size() {
    return this.#bytes.length;
  }
  read(target: Uint8Array, offset: number): number {
    const part = this.#bytes.subarray(offset, offset + target.length);
    target.set(part);
    return part.length;
  }
  close() {}
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than allowed',
  EROFS: 'the file system is read-only',
  EIO: 'the disk reports an error',
};

/** The reason in words for a system error. */
export function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
