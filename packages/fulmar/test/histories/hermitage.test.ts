import { describe, expect, it } from "vitest";
import { ConflictError, type Isolation, open, type Store, type Transaction } from "../../src/index.js";
import { type DrivenStore, type DrivenTransaction, hermitageScenarios } from "../../src/testing/index.js";

class Aborted extends Error {}

/** A transaction of the store whose function waits until it is told to end. */
async function begin(db: Store<number>, isolation: Isolation): Promise<DrivenTransaction> {
  let end: (how: "commit" | "abort") => void = () => {};
  const ended = new Promise<"commit" | "abort">((resolve) => {
    end = resolve;
  });
  let start: (tx: Transaction<number>) => void = () => {};
  const started = new Promise<Transaction<number>>((resolve) => {
    start = resolve;
  });
  const body = async (tx: Transaction<number>): Promise<true> => {
    start(tx);
    if ((await ended) === "abort") throw new Aborted();
    return true;
  };
  const done = db.transact(body, { isolation, retries: 0 }).catch((error: unknown) => {
    if (error instanceof ConflictError || error instanceof Aborted) return false;
    throw error;
  });
  const tx = await started;
  const entries = (list: Iterable<{ key: unknown; value: number }>) =>
    Array.from(list, ({ key, value }) => [String(key), value] as const);
  return {
    get: (key) => tx.get(key),
    set: (key, value) => tx.set(key, value),
    delete: (key) => tx.delete(key),
    range: (from, to) => entries(tx.list({ gte: from, lte: to })),
    prefix: (prefix) => entries(tx.list({ prefix })),
    commit() {
      end("commit");
      return done;
    },
    async abort() {
      end("abort");
      await done;
    },
  };
}

const driven = (db: Store<number>, isolation: Isolation): DrivenStore => ({
  begin: () => begin(db, isolation),
});

describe("scenarios of isolation", () => {
  for (const { name, run } of hermitageScenarios()) {
    it(`${name}: not with serializable transactions`, async () => {
      await using db = await open<number>();
      expect(await run(driven(db, "serializable"))).toEqual([]);
    });
  }

  it("fail where isolation is weaker: snapshots let write skew through", async () => {
    const outcomes = new Map<string, boolean>();
    for (const { name, run } of hermitageScenarios()) {
      await using db = await open<number>();
      outcomes.set(name, (await run(driven(db, "snapshot"))).length === 0);
    }
    const failed = [...outcomes].filter(([, passed]) => !passed).map(([name]) => name.split(" (")[0]);
    expect(new Set(failed)).toEqual(new Set(["G2: write skew", "G2: anomaly of a reader"]));
  });
});
