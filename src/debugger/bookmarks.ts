/** Named positions, kept in a small JSON file beside the trace. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UserError } from '../base/assert.ts';
import type { Bookmark } from './session.ts';

const FORMAT = 'chronovisor-bookmarks';
const BOOKMARKS_MAX = 10_000;
const NAME_MAX = 200;
const NOTE_MAX = 10_000;

export class Bookmarks {
  readonly #path: string;

  constructor(tracePath: string) {
    this.#path = `${tracePath}.bookmarks`;
  }

  /** By position, then name. Read again each time: other sessions may look at the same trace. */
  list(): Bookmark[] {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new UserError(`${this.#path}: cannot be read (${(error as Error).message})`);
    }
    return this.#parse(text).sort((a, b) => a.position - b.position || (a.name < b.name ? -1 : 1));
  }

  set(bookmark: Bookmark): void {
    const { name, position, note } = bookmark;
    if (name === '' || name.length > NAME_MAX || /[\n\r]/.test(name)) {
      throw new UserError(`a bookmark has a name of one line, 1 to ${NAME_MAX} characters`);
    }
    if (note.length > NOTE_MAX) throw new UserError(`bookmark ${name}: a note of at most ${NOTE_MAX} characters`);
    const others = this.list().filter((other) => other.name !== name);
    if (others.length >= BOOKMARKS_MAX)
      throw new UserError(`${this.#path}: there are ${BOOKMARKS_MAX} bookmarks already`);
    this.#write([...others, { name, position, note }]);
  }

  remove(name: string): void {
    const all = this.list();
    const left = all.filter((other) => other.name !== name);
    if (left.length === all.length) throw new UserError(`there is no bookmark '${name}'`);
    this.#write(left);
  }

  /** A new file takes the old one's place: nobody ever sees half of one. */
  #write(bookmarks: readonly Bookmark[]): void {
    const fresh = `${this.#path}.${process.pid}.new`;
    try {
      writeFileSync(fresh, `${JSON.stringify({ format: FORMAT, version: 1, bookmarks }, null, 2)}\n`);
      renameSync(fresh, this.#path);
    } catch (error) {
      rmSync(fresh, { force: true });
      throw new UserError(`${this.#path}: cannot be written (${(error as Error).message})`);
    }
  }

  #parse(text: string): Bookmark[] {
    const bad = (what: string) => new UserError(`${this.#path}: ${what}; mend the file, or remove it to begin anew`);
    let content: { format?: unknown; version?: unknown; bookmarks?: unknown };
    try {
      content = JSON.parse(text);
    } catch (error) {
      throw bad(`no JSON (${(error as Error).message})`);
    }
    if (content?.format !== FORMAT || content.version !== 1 || !Array.isArray(content.bookmarks)) {
      throw bad(`a file of the format ${FORMAT}, version 1, is needed`);
    }
    return content.bookmarks.map((entry, i) => {
      const { name, position, note = '' } = entry ?? {};
      if (typeof name !== 'string' || typeof note !== 'string' || !Number.isSafeInteger(position) || position < 0) {
        throw bad(`bookmark ${i + 1} needs a name, a position and a note`);
      }
      return { name, position, note };
    });
  }
}
