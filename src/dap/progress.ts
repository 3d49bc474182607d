/** Tells a client how far a long search has come. */
import type { Control, Progress } from '../debugger/session.ts';
import type { Tell } from './protocol.ts';

/** What is over sooner than this, in ms, nobody wants to hear of. */
const QUIET_MS = 300;

export interface Told {
  readonly control: Control;
  end(): void;
}

/** `id` names the progress for a client that cancels it. */
export function progressOf(tell: Tell, id: string, title: string, signal: AbortSignal): Told {
  const begun = performance.now();
  let shown = false;
  const progress = ({ position, done }: Progress) => {
    if (performance.now() - begun < QUIET_MS) return;
    const message = `position ${position.toLocaleString('en-US')}`;
    const percentage = Math.round(done * 100);
    if (shown) tell('progressUpdate', { progressId: id, message, percentage });
    else tell('progressStart', { progressId: id, title, message, percentage, cancellable: true });
    shown = true;
  };
  return {
    control: { signal, progress },
    end: () => {
      if (shown) tell('progressEnd', { progressId: id });
    },
  };
}
