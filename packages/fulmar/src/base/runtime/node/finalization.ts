import type { Finalization, FinalizationList } from "../interface.js";

export const nodeFinalization: Finalization = Object.freeze({
  list<T extends object>(collected: (held: T) => void): FinalizationList<T> {
    const registry = new FinalizationRegistry<T>(collected);
    return {
      add: (target, held) => registry.register(target, held, held),
      remove: (held) => void registry.unregister(held),
    };
  },
});
