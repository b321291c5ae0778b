import { open } from "lmdb";
import { turn } from "../../../dist/measure.js";
import { changed, type Engine, type Handle, type Level } from "../engine.js";

async function openLmdb(directory: string, level: Level): Promise<Handle> {
  const db = open<Uint8Array, string>({ path: directory, encoding: "binary", noSync: level === "relaxed" });
  const counters = db.openDB<number, string>({ name: "counters", encoding: "json" });
  // The promise of a write says that it can be read; `flushed` says that it is on disk.
  const durable =
    level === "full"
      ? async (written: Promise<unknown>): Promise<void> => {
          await written;
          await db.flushed;
        }
      : (written: Promise<unknown>): Promise<unknown> => written;
  return {
    set: (key, value) => durable(db.put(key, value)),
    batch: (entries) =>
      durable(
        db.batch(() => {
          for (const { key, value } of entries) void db.put(key, value);
        }),
      ),
    get: (key) => db.getBinary(key),
    view: (key) => db.getBinaryFast(key),
    range: (from, limit) => {
      let seen = 0;
      for (const { value } of db.getRange({ start: from, limit })) if (value.length > 0) seen++;
      return seen;
    },
    update: (first, second) =>
      durable(
        db.transaction(() => {
          const [a, b] = [db.getBinary(first), db.getBinary(second)];
          if (a === undefined || b === undefined) throw new Error("a key is missing");
          void db.put(first, changed(a));
          void db.put(second, changed(b));
        }),
      ),
    updateLater: async (first, second) => {
      await durable(
        // The one writer waits, and all others behind it.
        db.transaction(async () => {
          const [a, b] = [db.getBinary(first), db.getBinary(second)];
          if (a === undefined || b === undefined) throw new Error("a key is missing");
          await turn();
          void db.put(first, changed(a));
          void db.put(second, changed(b));
        }),
      );
      return 1;
    },
    increment: (counter) =>
      durable(counters.transaction(() => void counters.put(counter, (counters.get(counter) ?? 0) + 1))),
    longRead: async (limit, slice) => {
      let seen = 0;
      // A range reads from one snapshot until it ends.
      for (const { value } of db.getRange({ limit }))
        if (value.length > 0 && ++seen % slice === 0) await turn();
      return seen;
    },
    flush: () => db.flushed,
    close: () => db.close(),
  };
}

export const lmdb: Engine = { name: "lmdb", durable: true, open: openLmdb };
