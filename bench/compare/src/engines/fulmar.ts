import { type OpenOptions, open } from "fulmar";
import { turn } from "../../../dist/measure.js";
import { changed, type Engine, type Handle, type Level } from "../engine.js";

async function openFulmar(
  directory: string,
  level: Level,
  options: OpenOptions<Uint8Array>,
): Promise<Handle> {
  const db = await open<Uint8Array>(directory, { codec: "bytes", durability: level, ...options });
  const counters = db.namespace<number>("counters", { codec: "json" });
  return {
    set: (key, value) => db.set(key, value),
    batch: (entries) => db.batch(entries.map(({ key, value }) => ({ type: "set", key, value }))),
    get: (key) => db.get(key),
    range: (from, limit) => {
      let seen = 0;
      for (const { value } of db.list({ gte: from, limit })) if (value.length > 0) seen++;
      return seen;
    },
    update: (first, second) =>
      db.transact((tx) => {
        const [a, b] = [tx.get(first), tx.get(second)];
        if (a === undefined || b === undefined) throw new Error("a key is missing");
        tx.set(first, changed(a));
        tx.set(second, changed(b));
      }),
    updateLater: async (first, second) => {
      let attempts = 0;
      await db.transact(async (tx) => {
        attempts++;
        const [a, b] = [tx.get(first), tx.get(second)];
        if (a === undefined || b === undefined) throw new Error("a key is missing");
        await turn();
        tx.set(first, changed(a));
        tx.set(second, changed(b));
      });
      return attempts;
    },
    increment: (counter) => counters.increment(counter),
    longRead: (limit, slice) =>
      db.transact(async (tx) => {
        let seen = 0;
        for (const { value } of tx.list({ limit }))
          if (value.length > 0 && ++seen % slice === 0) await turn();
        return seen;
      }),
    flush: () => db.flush(),
    close: () => db.close(),
  };
}

export const fulmar: Engine = {
  name: "fulmar",
  durable: true,
  open: (directory, level) => openFulmar(directory, level, {}),
};

/** Blocks the event loop for the sync of a lone write, as SQLite always does. */
export const fulmarInline: Engine = {
  name: "fulmar-inline",
  durable: true,
  only: ["set-full-1"],
  open: (directory, level) => openFulmar(directory, level, { sync: "inline" }),
};
