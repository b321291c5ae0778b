import { expect, test } from "vitest";
import { type Namespace, open, type Store } from "../../src/index.js";

const HOUR_MS = 3_600_000;

/** Deletes a counter and counts on from there, at once. */
const ways: readonly [string, (db: Store, counters: Namespace<number>) => Promise<unknown>][] = [
  [
    "two calls",
    async (_, counters) => {
      await counters.delete("k");
      await counters.increment("k", 2);
    },
  ],
  [
    "a transaction",
    (db, counters) =>
      db.transact((tx) => {
        tx.in(counters).delete("k");
        tx.in(counters).increment("k", 2);
      }),
  ],
  ["atomic()", (_, counters) => counters.atomic().delete("k").increment("k", 2).commit()],
];

test.each(ways)(
  "a counter that is deleted and counts on by %s lives as long as its namespace says",
  async (_, again) => {
    await using db = await open();
    const counters = db.namespace<number>("counters", { ttl: HOUR_MS });
    await counters.set("k", 40, { ttl: Number.POSITIVE_INFINITY });
    await again(db, counters);
    expect(counters.get("k")).toBe(2);
    const leftMs = counters.ttl("k") ?? 0;
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(HOUR_MS);
  },
);
