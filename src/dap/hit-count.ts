/** Hit counts of breakpoints: `5`, `== 5`: the fifth hit; `> 5`, `>= 5`, `< 5`, `<= 5`; `% 5`: every fifth. */
import { UserError } from '../base/assert.ts';

export interface HitCount {
  /** Whether the hit with this number, from 1 on, counts. */
  counts(hit: number): boolean;
  /** After so many hits: how many more there are before one that counts; Infinity if none will. */
  before(hits: number): number;
}

const HIT_COUNT = /^\s*(==|=|>=|>|<=|<|%)?\s*(\d{1,15})\s*$/;

export function parseHitCount(text: string): HitCount {
  const match = HIT_COUNT.exec(text);
  const [operator, n] = [match?.[1], Number(match?.[2])];
  if (!match || (operator === '%' && n === 0)) {
    throw new UserError(`hit count '${text}': a number such as 5, or one with >, >=, <, <= or % before it, is needed`);
  }
  const until = (last: number): HitCount => ({
    counts: (hit) => hit <= last,
    before: (hits) => (hits < last ? 0 : Number.POSITIVE_INFINITY),
  });
  const from = (first: number): HitCount => ({
    counts: (hit) => hit >= first,
    before: (hits) => Math.max(0, first - 1 - hits),
  });
  switch (operator) {
    case '>':
      return from(n + 1);
    case '>=':
      return from(n);
    case '<':
      return until(n - 1);
    case '<=':
      return until(n);
    case '%':
      return { counts: (hit) => hit % n === 0, before: (hits) => n - 1 - (hits % n) };
    default:
      return {
        counts: (hit) => hit === n,
        before: (hits) => (hits < n ? n - 1 - hits : Number.POSITIVE_INFINITY),
      };
  }
}
