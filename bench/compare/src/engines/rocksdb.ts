import { RocksLevel } from "@nxtedition/rocksdb";
import { changed, type Engine, type Handle, type Level } from "../engine.js";

/** Entries fetched at once in a scan. */
const FETCHED = 1000;

async function openRocksdb(directory: string, level: Level): Promise<Handle> {
  const db = new RocksLevel(directory, { keyEncoding: "utf8", valueEncoding: "buffer" });
  await db.open();
  const options = { sync: level === "full" };
  const get = (key: string): Uint8Array | undefined => db._getManySync([Buffer.from(key)])[0];
  return {
    // `put` of this binding does not pass on whether to sync; `batch` does.
    set: (key, value) => db.batch([{ type: "put", key, value }], options),
    batch: (entries) =>
      db.batch(
        entries.map(({ key, value }) => ({ type: "put", key, value })),
        options,
      ),
    get,
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
      const [a, b] = [get(first), get(second)];
      if (a === undefined || b === undefined) throw new Error("a key is missing");
      await db.batch(
        [
          { type: "put", key: first, value: changed(a) },
          { type: "put", key: second, value: changed(b) },
        ],
        options,
      );
    },
    flush: () => undefined,
    close: () => db.close(),
  };
}

export const rocksdb: Engine = { name: "rocksdb", durable: true, open: openRocksdb };
