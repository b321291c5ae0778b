import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { turn } from "../../../dist/measure.js";
import { changed, type Engine, type Entry, type Handle, type Level } from "../engine.js";

/** The synchronous calls, each a transaction of its own when called outside of one. */
interface Calls {
  readonly db: Database;
  set(key: string, value: Uint8Array): void;
  get(key: string): Uint8Array | undefined;
  batch(entries: readonly Entry[]): void;
  update(first: string, second: string): void;
  increment(counter: string): void;
}

const fileIn = (directory: string): string => join(directory, "data.sqlite");

function openCalls(directory: string, level: Level): Calls {
  mkdirSync(directory, { recursive: true });
  const db = new Database(fileIn(directory));
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${level === "full" ? "FULL" : "NORMAL"}`);
  db.exec("CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID");
  db.exec("CREATE TABLE IF NOT EXISTS counters (k TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID");
  const write = db.prepare(
    "INSERT INTO kv (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
  );
  const read = db.prepare("SELECT v FROM kv WHERE k = ?").pluck();
  const add = db.prepare("INSERT INTO counters (k, n) VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET n = n + 1");
  const set = (key: string, value: Uint8Array): void => {
    write.run(key, value);
  };
  const get = (key: string): Uint8Array | undefined => read.get(key) as Uint8Array | undefined;
  return {
    db,
    set,
    get,
    batch: db.transaction((entries: readonly Entry[]) => {
      for (const { key, value } of entries) set(key, value);
    }),
    update: db.transaction((first: string, second: string) => {
      const [a, b] = [get(first), get(second)];
      if (a === undefined || b === undefined) throw new Error("a key is missing");
      set(first, changed(a));
      set(second, changed(b));
    }),
    increment: (counter) => {
      add.run(counter);
    },
  };
}

/** Updates that wait within, one after the other: a connection has one transaction at a time. */
function inTurn({ db, get, set }: Calls): (first: string, second: string) => Promise<number> {
  const [begin, commit, rollback] = ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"].map((text) => db.prepare(text));
  const one = async (first: string, second: string): Promise<number> => {
    begin.run();
    try {
      const [a, b] = [get(first), get(second)];
      if (a === undefined || b === undefined) throw new Error("a key is missing");
      await turn();
      set(first, changed(a));
      set(second, changed(b));
      commit.run();
    } finally {
      if (db.inTransaction) rollback.run();
    }
    return 1;
  };
  let last: Promise<unknown> = Promise.resolve();
  return (first, second) => {
    const mine = last.then(() => one(first, second));
    last = mine.catch(() => undefined);
    return mine;
  };
}

/** On a connection of its own, because an open read holds up the writes of its connection. */
async function longRead(directory: string, limit: number, slice: number): Promise<number> {
  const db = new Database(fileIn(directory), { readonly: true });
  const read = db.prepare("SELECT k, v FROM kv ORDER BY k LIMIT ?").raw();
  let seen = 0;
  for (const row of read.iterate(limit))
    if ((row as [string, Uint8Array])[1].length > 0 && ++seen % slice === 0) await turn();
  db.close();
  return seen;
}

function ranges({ db }: Calls): (from: string, limit: number) => number {
  const read = db.prepare("SELECT k, v FROM kv WHERE k >= ? ORDER BY k LIMIT ?").raw();
  return (from, limit) => {
    let seen = 0;
    for (const row of read.iterate(from, limit)) if ((row as [string, Uint8Array])[1].length > 0) seen++;
    return seen;
  };
}

/** Each call as the library offers it: synchronous, one transaction each. */
export const sqlite: Engine = {
  name: "sqlite",
  durable: true,
  open: async (directory, level) => {
    const calls = openCalls(directory, level);
    return {
      ...calls,
      range: ranges(calls),
      updateLater: inTurn(calls),
      longRead: (limit, slice) => longRead(directory, limit, slice),
      flush: () => undefined,
      close: () => calls.db.close(),
    };
  },
};

interface Waiting {
  readonly work: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What any user can put around it: the writes of one turn of the event loop in one transaction. */
function grouped(calls: Calls): (work: () => void) => Promise<void> {
  let waiting: Waiting[] = [];
  const commit = calls.db.transaction((group: readonly Waiting[]) => {
    for (const { work } of group) work();
  });
  const flush = (): void => {
    const group = waiting;
    waiting = [];
    try {
      commit(group);
      for (const { resolve } of group) resolve();
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  };
  return (work) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ work, resolve, reject });
    });
}

export const sqliteGrouped: Engine = {
  name: "sqlite-grouped",
  durable: true,
  only: [
    "set-relaxed-1000",
    "set-full-1",
    "set-full-100",
    "set-full-1000",
    "batch-relaxed",
    "batch-full",
    "update-relaxed-1",
    "update-full-100",
    "update-contended",
    "update-readers",
    "increments",
    "overwrite",
  ],
  open: async (directory, level): Promise<Handle> => {
    const calls = openCalls(directory, level);
    const group = grouped(calls);
    return {
      set: (key, value) => group(() => calls.set(key, value)),
      batch: (entries) => group(() => calls.batch(entries)),
      update: (first, second) => group(() => calls.update(first, second)),
      increment: (counter) => group(() => calls.increment(counter)),
      longRead: (limit, slice) => longRead(directory, limit, slice),
      flush: () => undefined,
      close: () => calls.db.close(),
    };
  },
};
