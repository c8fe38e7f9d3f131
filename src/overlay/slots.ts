import type { Key } from '../model/path.js';
import { isPromise, type MaybePromise } from '../util/async.js';
import type { Node } from './nodes.js';
import type { NodeMemory, Slot } from './node-memory.js';

/** Runs `act` once what the base shows at each of the names is known and still true. */
export function withSlots<T>(
  overlay: NodeMemory,
  places: readonly (readonly [directory: Node, name: Key])[],
  signal: AbortSignal,
  act: (...slots: Slot[]) => MaybePromise<T>,
): MaybePromise<T> {
  const found = places.map(([directory, name]) => overlay.slot(directory, name, signal));
  if (!found.some(isPromise)) return act(...(found as Slot[]));
  return Promise.all(found.map(async (slot) => slot)).then((slots) =>
    slots.every((slot) => overlay.isCurrent(slot))
      ? act(...slots)
      : withSlots(overlay, places, signal, act),
  );
}
