import { compareStamps, type Stamp } from "../../../src/index.js";
import type { Node } from "./cluster.js";

/**
 * Knows every transaction of a run and finds states that show half of one: if a key shows what a
 * transaction wrote, each of its other keys must show that too, or something newer.
 */
export class AtomicityChecker {
  readonly keys: readonly string[];
  readonly #transactions = new Map<string, { keys: readonly string[]; stamp: Stamp }>();
  readonly violations: string[] = [];

  constructor(keys: readonly string[]) {
    this.keys = keys;
  }

  /** Writes to some keys in one transaction. */
  async write(node: Node, keys: readonly string[], value: unknown): Promise<void> {
    const written = await node.db.batch(
      keys.map((key) =>
        value === undefined ? { type: "delete" as const, key } : { type: "set" as const, key, value },
      ),
    );
    this.#transactions.set(name(written.stamp), { keys, stamp: written.stamp });
  }

  /** Checks the node's state after each of its commits. */
  watch(node: Node): void {
    node.db.watch({}, () => this.#check(node));
  }

  #check({ db, host }: Node): void {
    for (const key of this.keys) {
      const entry = db.entry(key, { tombstones: true });
      const transaction = entry === undefined ? undefined : this.#transactions.get(name(entry.stamp));
      if (transaction === undefined) continue;
      for (const other of transaction.keys) {
        const shown = db.entry(other, { tombstones: true });
        if (shown === undefined || compareStamps(shown.stamp, transaction.stamp) < 0) {
          this.violations.push(`${host}: ${key} shows ${name(transaction.stamp)}, ${other} does not`);
        }
      }
    }
  }
}

function name(stamp: Stamp): string {
  return `${stamp.origin}:${stamp.seq}`;
}
