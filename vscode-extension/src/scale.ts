/** Ranges of an axis, and where their values lie on a line of pixels. Knows nothing of web pages. */
import { count } from './format.ts';

/** `from <= to`; values between are shown. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Values that a range must at least span: one pixel should not be less than a step on any screen. */
const SPAN_MIN = 20;

/** The range with a span times `factor`, in which `at` stays where it is; within the bounds. */
export function zoomed(range: Range, factor: number, at: number, bounds: Range): Range {
  const span = range.to - range.from;
  const wanted = Math.min(Math.max(span * factor, SPAN_MIN), bounds.to - bounds.from);
  const share = span === 0 ? 0.5 : (at - range.from) / span;
  return placed(at - share * wanted, wanted, bounds);
}

export function panned(range: Range, distance: number, bounds: Range): Range {
  return placed(range.from + distance, range.to - range.from, bounds);
}

/** The range moved so that a value is in its middle, unless it can be seen already. */
export function following(range: Range, value: number, bounds: Range): Range {
  if (value >= range.from && value <= range.to) return range;
  const span = range.to - range.from;
  return placed(value - span / 2, span, bounds);
}

/** Whole values, so that they can be asked for. */
function placed(from: number, span: number, bounds: Range): Range {
  const length = Math.max(1, Math.min(Math.round(span), bounds.to - bounds.from));
  const first = Math.round(Math.min(Math.max(from, bounds.from), bounds.to - length));
  return { from: first, to: first + length };
}

/** Round values of a range, so many pixels apart at least: 1, 2 or 5 times a power of ten. */
export function ticks({ from, to }: Range, width: number, apart: number): number[] {
  const least = ((to - from) / Math.max(1, width)) * apart;
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least) ?? 10 * power;
  const all: number[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) all.push(value);
  return all;
}

/** A tick's label: positions in full, times in the unit that tells ticks apart. */
export function tickText(value: number, axis: 'position' | 'time', step: number): string {
  if (axis === 'position') return count(value);
  const [unit, ns] =
    step >= 1e8 ? (['s', 1e9] as const) : step >= 1e5 ? (['ms', 1e6] as const) : (['µs', 1e3] as const);
  const decimals = Math.max(0, Math.ceil(Math.log10(ns / Math.max(1, step))));
  return `${(value / ns).toFixed(decimals)} ${unit}`;
}

/** The y of an x on the line through pairs in ascending order; the ends' beyond them. */
export function along(pairs: readonly (readonly [x: number, y: number])[], x: number): number {
  const right = pairs.findIndex((pair) => pair[0] > x);
  if (right < 0) return pairs.at(-1)?.[1] ?? x;
  if (right === 0) return pairs[0][1];
  const [[x1, y1], [x2, y2]] = [pairs[right - 1], pairs[right]];
  return y1 + ((y2 - y1) * (x - x1)) / (x2 - x1);
}

/** Whether an x lies between the ends of such a line, so that its y is known. */
export function covers(pairs: readonly (readonly [x: number, y: number])[], x: number): boolean {
  return pairs.length > 0 && x >= pairs[0][0] && x <= pairs[pairs.length - 1][0];
}
