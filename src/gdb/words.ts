/** The words of a monitor command, quoted as at a command line (POSIX.1-2017, shell command language, 2.2), without its expansions. */
import { TargetError } from './target.ts';

/** A piece of a word: escaped, in single quotes, in double quotes, or plain; or a quote or backslash that lacks its end. */
const PIECE = /\\([\s\S])|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|([^\s\\'"]+)|(['"\\])/y;
/** What a backslash escapes in double quotes; before others it stays. */
const ESCAPED = /\\([$`"\\])/g;

export function splitWords(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  const skipSpace = () => {
    while (at < line.length && /\s/.test(line[at])) at++;
  };
  skipSpace();
  while (at < line.length) {
    let word = '';
    PIECE.lastIndex = at;
    for (let piece = PIECE.exec(line); piece; piece = PIECE.exec(line)) {
      const [, escaped, single, double, plain, open] = piece;
      if (open === '\\') throw new TargetError('a character is needed after the last \\');
      if (open !== undefined)
        throw new TargetError(
          `the text after ${open} at character ${PIECE.lastIndex} is not closed; \\${open} is one that quotes nothing`,
        );
      word += escaped ?? single ?? double?.replace(ESCAPED, '$1') ?? plain;
      at = PIECE.lastIndex;
    }
    words.push(word);
    skipSpace();
  }
  return words;
}
