/** Writes a zip file from files, a piece at a time; it takes its place when it is whole. */
import { closeSync, existsSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';
import { UserError } from '../base/assert.ts';
import { bytes } from './format.ts';
import { openUserFile } from './user-file.ts';

/** What the format's plain form has room for (APPNOTE 4.4.1.4), here for the sum as well. */
const BYTES_MAX = 2 ** 32 - 1;
const ENTRIES_MAX = 2 ** 16 - 1;
/** Packing more takes long enough for a person to wonder. */
const SLOW_BYTES = 2 ** 25;
const PIECE_BYTES = 2 ** 20;
/** Beyond it a kernel's debug information takes three times as long for a tenth less. */
const LEVEL = 4;

export class ZipFile {
  readonly #path: string;
  readonly #partial: string;
  readonly #file: number;
  readonly #zip: Zip;
  #written = 0;
  #entries = 0;
  #ended = false;

  constructor(path: string, force: boolean) {
    if (existsSync(path) && !force) {
      throw new UserError(`${path} exists: choose another name, or replace it with --force`);
    }
    this.#path = path;
    this.#partial = `${path}.part`;
    this.#file = guarded(path, () => openSync(this.#partial, 'w'));
    this.#zip = new Zip((error, piece, final) => {
      if (error) throw error;
      this.#write(piece);
      if (final) this.#ended = true;
    });
  }

  /** Adds what is in a file; `option` named it. What is compressed already is stored as it is. */
  addFile(name: string, option: string, path: string, compressed = false): void {
    const source = openUserFile(option, path);
    if (!compressed && source.bytes > SLOW_BYTES)
      console.error(`chronovisor: packing ${path} (${bytes(source.bytes)})`);
    try {
      const add = this.#begin(name, compressed);
      for (let at = 0; at < source.bytes; at += PIECE_BYTES) {
        const piece = new Uint8Array(Math.min(PIECE_BYTES, source.bytes - at));
        source.read(piece, at);
        add(piece, at + piece.length === source.bytes);
      }
      if (source.bytes === 0) add(new Uint8Array(0), true);
    } finally {
      source.close();
    }
  }

  addText(name: string, text: string): void {
    this.#begin(name, false)(new TextEncoder().encode(text), true);
  }

  #begin(name: string, compressed: boolean): (piece: Uint8Array, final: boolean) => void {
    if (++this.#entries > ENTRIES_MAX) throw new UserError(`${this.#path}: more than ${ENTRIES_MAX} files`);
    const entry = compressed ? new ZipPassThrough(name) : new ZipDeflate(name, { level: LEVEL });
    this.#zip.add(entry);
    return (piece, final) => entry.push(piece, final);
  }

  #write(piece: Uint8Array): void {
    this.#written += piece.length;
    if (this.#written > BYTES_MAX) {
      throw new UserError(`${this.#path}: more than 4 GiB; leave out symbol files with --symbols`);
    }
    guarded(this.#path, () => {
      for (let done = 0; done < piece.length; ) done += writeSync(this.#file, piece, done);
    });
  }

  /** Ends the file; returns its size. */
  finish(): number {
    this.#zip.end();
    if (!this.#ended) throw new Error('a zip file without an end');
    closeSync(this.#file);
    guarded(this.#path, () => renameSync(this.#partial, this.#path));
    return this.#written;
  }

  /** Nothing is left of it. */
  discard(): void {
    closeSync(this.#file);
    rmSync(this.#partial, { force: true });
  }
}

function guarded<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new UserError(`${path}: cannot be written (${(error as Error).message})`);
  }
}
