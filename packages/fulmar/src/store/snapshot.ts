import { Readable } from "./readable.js";
import type { PinnedView } from "./views.js";
import type { Writable } from "./writable.js";

/**
 * One state of a store, which stays readable whatever is written since, until {@link close}: repeatable
 * reads and listings, deadlines judged as of the moment when it was taken. It keeps every version that it
 * shows in memory, so close it soon. Get one from {@link Store.snapshot}.
 *
 * One that is dropped without being closed lets go of its state when the garbage collector takes it, and so does an
 * iteration that is left half-way and dropped. When that is nobody knows: rely on {@link close}, or `using`.
 *
 * @example
 * ```ts
 * import { open } from "fulmar";
 *
 * await using db = await open<number>();
 * await db.set("a", 1);
 * using snapshot = db.snapshot();
 * await db.set("a", 2);
 * console.log(snapshot.get("a"), snapshot.count(), db.get("a")); // 1 1 2
 * ```
 */
export class Snapshot<V = unknown> extends Readable<V> {
  readonly #view: PinnedView<V>;

  /** @internal */
  constructor(view: PinnedView<V>) {
    super(view);
    this.#view = view;
  }

  /**
   * The same snapshot on the keys of a namespace, or for the store on those outside of namespaces. It shows the same
   * state, and whichever of the two is closed, both are. @throws INVALID_ARGUMENT for a namespace of another store
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open();
   * const orders = db.namespace<{ by: string }>("orders");
   * const users = db.namespace<string>("users");
   * await db
   *   .atomic()
   *   .in(users)
   *   .set("ada", "Ada Lovelace")
   *   .in(orders)
   *   .set(1, { by: "ada" })
   *   .commit();
   * using snapshot = db.snapshot();
   * await users.delete("ada");
   * for (const { value } of snapshot.in(orders).list()) {
   *   console.log(snapshot.in(users).get(value.by)); // Ada Lovelace
   * }
   * ```
   */
  in<In, Out>(owner: Writable<In, Out>): Snapshot<Out> {
    return new Snapshot(this.#view.in<Out>(owner));
  }

  /**
   * Lets go of the state; iterations that have begun can go on to their end. Idempotent.
   *
   * @example
   * ```ts
   * import { open } from "fulmar";
   *
   * await using db = await open<number>();
   * await db.set("a", 1);
   * const snapshot = db.snapshot();
   * const keys = snapshot.keys()[Symbol.iterator]();
   * const { value } = keys.next();
   * snapshot.close();
   * console.log(value, keys.next().done); // a true
   * ```
   */
  close(): void {
    this.#view.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
