/** What a machine saves of its state, against what its parts would write now. */
import assert from 'node:assert/strict';
import { StateReader, type StateValue, StateWriter } from '../../src/base/state.ts';
import type { Machine } from '../../src/vmm/machine.ts';

/** Saves the state, and makes sure that nothing in it is from before. */
export function savedState(machine: Machine, when: string): Map<string, StateValue> {
  const { state } = machine.changes();
  const fresh = new StateWriter();
  machine.sync(fresh);
  const saved = new Map(new StateReader(state).entries());
  assert.deepEqual(saved, new Map(new StateReader(fresh.finish()).entries()), `saved ${when}, and as it is`);
  return saved;
}
