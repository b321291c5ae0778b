import { changed, type Handle } from "../engine.js";

/** Entries fetched at once in a scan. */
const FETCHED = 1000;

interface Put {
  readonly type: "put";
  readonly key: string;
  readonly value: Uint8Array;
}

/** What the workloads need of a database of abstract-level. */
interface Database {
  batch(operations: Put[], options: { readonly sync: boolean }): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  iterator(range: { readonly gte: string; readonly limit: number }): {
    nextv(size: number): Promise<[unknown, Uint8Array][]>;
    close(): Promise<void>;
  };
  close(): Promise<void>;
}

/** A handle on an open database, whose synchronous reads each binding has under a name of its own. */
export function levelHandle(
  db: Database,
  options: { readonly sync: boolean },
  getSync: (key: string) => Uint8Array | undefined,
): Omit<Handle, "set"> {
  const puts = (entries: readonly Omit<Put, "type">[]): Put[] =>
    entries.map(({ key, value }) => ({ type: "put", key, value }));
  return {
    batch: (entries) => db.batch(puts(entries), options),
    get: getSync,
    getLater: (key) => db.get(key),
    range: async (from, limit) => {
      const iterator = db.iterator({ gte: from, limit });
      let seen = 0;
      for (;;) {
        const entries = await iterator.nextv(Math.min(FETCHED, limit));
        for (const [, value] of entries) if (value.length > 0) seen++;
        if (entries.length === 0 || seen >= limit) break;
      }
      await iterator.close();
      return seen;
    },
    update: async (first, second) => {
      const [a, b] = [getSync(first), getSync(second)];
      if (a === undefined || b === undefined) throw new Error("a key is missing");
      const entries = [
        { key: first, value: changed(a) },
        { key: second, value: changed(b) },
      ];
      await db.batch(puts(entries), options);
    },
    flush: () => undefined,
    close: () => db.close(),
  };
}
