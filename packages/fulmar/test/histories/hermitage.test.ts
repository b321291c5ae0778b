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

/** A store that writes in place, lets everybody see that at once, and commits everything. */
function uncommitted(): DrivenStore {
  const values = new Map<string, number>();
  const listed = (isWanted: (key: string) => boolean) => [...values].filter(([key]) => isWanted(key));
  return {
    async begin() {
      const before = new Map(values);
      return {
        get: (key) => values.get(key),
        set: (key, value) => void values.set(key, value),
        delete: (key) => void values.delete(key),
        range: (from, to) => listed((key) => key >= from && key <= to),
        prefix: (prefix) => listed((key) => key.startsWith(prefix)),
        commit: async () => true,
        async abort() {
          for (const [key, value] of before) values.set(key, value);
        },
      };
    },
  };
}

/** What is found when a store of one isolation is judged as of another. */
async function judged(isolation: Isolation, as: Isolation): Promise<Map<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const { name, run } of hermitageScenarios()) {
    await using db = await open<number>();
    found.set(name, await run(driven(db, isolation), as));
  }
  return found;
}

const phenomena = (found: ReadonlyMap<string, readonly string[]>): Set<string> =>
  new Set([...found].filter(([, wrong]) => wrong.length > 0).map(([name]) => name.split(":")[0]));

describe("scenarios of isolation", () => {
  for (const { name, run } of hermitageScenarios()) {
    it.each(["serializable", "snapshot"] as const)(`${name}: as promised, %s`, async (isolation) => {
      await using db = await open<number>();
      expect(await run(driven(db, isolation), isolation)).toEqual([]);
    });
  }

  it("are all of Hermitage's, each in every form that it can have", () => {
    const byPhenomenon = new Map<string, Set<string>>();
    for (const { name } of hermitageScenarios()) {
      const [, phenomenon, form] = /^([^:]+): .* \((.*)\)$/.exec(name) ?? [];
      byPhenomenon.set(phenomenon, (byPhenomenon.get(phenomenon) ?? new Set()).add(form));
    }
    const every = new Set(["key", "absent key", "range", "prefix"]);
    const [items, predicates] = [new Set(["key", "absent key"]), new Set(["range", "prefix"])];
    const complete = ["G0", "G1a", "G1b", "G1c", "OTV", "PMP", "P4", "G-single"].map((name) => [name, every]);
    expect([...byPhenomenon]).toEqual([...complete, ["G2-item", items], ["G2", predicates]]);
  });

  it("all fail on a store without isolation", async () => {
    const found = new Map<string, readonly string[]>();
    for (const { name, run } of hermitageScenarios()) found.set(name, await run(uncommitted()));
    expect([...found].filter(([, wrong]) => wrong.length === 0)).toEqual([]);
  });

  it("tell snapshots from what is serializable, by all that is write skew and by nothing else", async () => {
    const skews = new Set(["G1c", "G2-item", "G2"]);
    expect(phenomena(await judged("snapshot", "serializable"))).toEqual(skews);
    // Blind writes are all done where nothing was read, and the second is refused where writes are compared.
    expect(phenomena(await judged("serializable", "snapshot"))).toEqual(new Set(["G0", ...skews, "OTV"]));
  });
});
