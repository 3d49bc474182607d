/** What is wrong in a symbol file, and where. */
import { UserError } from '../base/assert.ts';

/**
 * Debug information that cannot be understood: garbled, cut short, or of a kind that is not supported. It concerns one place in one file; everything
 * else of that file stays usable.
 */
export class SymbolError extends UserError {
  override name = 'SymbolError';
  readonly file: string;
  readonly section: string;
  /** Offset in the section (or, for section `file`, in the file). */
  readonly offset: number;

  constructor(file: string, section: string, offset: number, what: string) {
    super(`${file}: ${section} at offset 0x${Math.max(0, offset).toString(16)}: ${what}`);
    this.file = file;
    this.section = section;
    this.offset = offset;
  }
}
