import type { StateIO } from '../../base/state.ts';
import type { Alarm } from '../device.ts';

/** Passes an alarm's deadline through `s`. Taking the state leaves the alarm alone, so that saving has no side effect. */
export function syncAlarm(s: StateIO, name: string, alarm: Alarm): void {
  const deadline = s.num(name, alarm.deadline);
  if (deadline !== alarm.deadline) alarm.set(deadline);
}
