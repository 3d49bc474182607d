/** What a session and its engine's thread say to each other. */
import type { EngineOptions } from './engine.ts';
import type { Progress } from './session.ts';

export interface EngineStart {
  readonly path: string;
  readonly options: EngineOptions;
}

export type ToEngine =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly kind: 'cancel'; readonly id: number }
  /** The asking side has taken a batch of a query's rows and wants the next. */
  | { readonly kind: 'more'; readonly id: number };

export type FromEngine =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'rows'; readonly id: number; readonly rows: readonly unknown[] }
  | { readonly kind: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly kind: 'failed'; readonly id: number | null; readonly name: string; readonly message: string };
