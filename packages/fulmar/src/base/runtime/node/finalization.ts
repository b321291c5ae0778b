import type { Finalization, FinalizationList } from "../interface.js";

export const nodeFinalization: Finalization = Object.freeze({
  list<T extends object>(collected: (held: T) => void): FinalizationList<T> {
    const targets = new FinalizationRegistry<T>(collected);
    return {
      add: (target, held) => targets.register(target, held, held),
      remove: (held) => void targets.unregister(held),
    };
  },
});
