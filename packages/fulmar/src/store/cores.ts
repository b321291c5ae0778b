import { FulmarTypeError } from "../base/errors.js";
import type { StoreCore } from "./core.js";

const CORES = new WeakMap<object, StoreCore<unknown>>();

/** Called once by each store, so that functions beside it can reach what it is made of. */
export function registerCore(store: object, core: StoreCore<unknown>): void {
  CORES.set(store, core);
}

/** What a store is made of. @throws INVALID_ARGUMENT for anything else */
export function coreOf(store: object): StoreCore<unknown> {
  const core = CORES.get(store);
  if (core !== undefined) return core;
  throw new FulmarTypeError("INVALID_ARGUMENT", "expected a store that open() returned");
}
