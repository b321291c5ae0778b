import { RocksLevel } from "@nxtedition/rocksdb";
import type { Engine, Handle, Level } from "../engine.js";
import { levelHandle } from "./abstract-level.js";

async function openRocksdb(directory: string, level: Level): Promise<Handle> {
  const db = new RocksLevel(directory, { keyEncoding: "utf8", valueEncoding: "buffer" });
  await db.open();
  const options = { sync: level === "full" };
  return {
    ...levelHandle(db, options, (key) => db._getManySync([Buffer.from(key)])[0]),
    // `put` of this binding does not pass on whether to sync; `batch` does.
    set: (key, value) => db.batch([{ type: "put", key, value }], options),
  };
}

export const rocksdb: Engine = { name: "rocksdb", durable: true, open: openRocksdb };
