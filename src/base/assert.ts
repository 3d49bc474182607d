/** An assertion that failed: a bug of ours, never the user's fault. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** Checks what must hold if our own code is right. Always on. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(`internal error: ${message}`);
}

/** For the branch that a complete `switch` cannot reach. */
export function unreachable(value: never): never {
  throw new AssertionError(`internal error: unexpected value ${String(value)}`);
}

/**
 * Bad input: a file, an option, a trace. The message names the file and the offset or option, what was expected and
 * what to do. Front ends print the message alone and exit with 1.
 */
export class UserError extends Error {
  override name = 'UserError';
}

/** Replay came to another state than was recorded. */
export class Divergence extends Error {
  override name = 'Divergence';
  readonly position: number;
  constructor(position: number, message: string) {
    super(message);
    this.position = position;
  }
}
