import { FulmarTypeError } from "../base/errors.js";
import type { StoreCore } from "./core.js";
import type { Reader } from "./reader.js";
import type { ChangeMaker } from "./watch/changes.js";
import type { WriteEncoder } from "./write-encoder.js";

/** What methods of a store, or of one of its namespaces, work on: keys and values of theirs in one core. */
export interface Scope<In, Out = In> {
  readonly core: StoreCore<unknown>;
  readonly reader: Reader<Out>;
  readonly encoder: WriteEncoder<In, Out>;
  /** For watches. */
  readonly changes: ChangeMaker<Out>;
}

const SCOPES = new WeakMap<object, Scope<never, unknown>>();

/** Called once by each store and namespace, so that others can reach their scope. */
export function registerScope<In, Out>(owner: object, scope: Scope<In, Out>): void {
  SCOPES.set(owner, scope);
}

/** The scope of a store or namespace. @throws FulmarTypeError `INVALID_ARGUMENT` for anything else */
export function scopeOf<In, Out>(owner: object): Scope<In, Out> {
  const scope = SCOPES.get(owner);
  if (scope !== undefined) return scope as unknown as Scope<In, Out>;
  throw new FulmarTypeError("INVALID_ARGUMENT", "expected a store, or a namespace of one");
}

/** The scope of a namespace, or of the store itself, in the same store. @throws as {@link scopeOf} */
export function siblingScope<In, Out>(core: StoreCore<unknown>, owner: object): Scope<In, Out> {
  const scope = scopeOf<In, Out>(owner);
  if (scope.core === core) return scope;
  throw new FulmarTypeError("INVALID_ARGUMENT", "in: the namespace is one of another store");
}
