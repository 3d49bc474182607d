/** Steps a second of late, in host time. */

/** A measure is taken over at least so long, so that it does not jump. */
const WINDOW_MS = 500;

export class SpeedMeter {
  #fromMs: number;
  #fromPosition = 0;
  #speed: number | null = null;

  constructor(nowMs: number) {
    this.#fromMs = nowMs;
  }

  /** 0 while the machine waits. */
  at(position: number, nowMs: number): number {
    const ms = nowMs - this.#fromMs;
    const speed = ms > 0 ? Math.round(((position - this.#fromPosition) * 1000) / ms) : 0;
    if (ms < WINDOW_MS) return this.#speed ?? speed;
    this.#fromMs = nowMs;
    this.#fromPosition = position;
    this.#speed = speed;
    return speed;
  }
}
