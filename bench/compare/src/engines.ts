import type { Engine } from "./engine.js";
import { classicLevel } from "./engines/classic-level.js";
import { fulmar, fulmarInline } from "./engines/fulmar.js";
import { map, sortedBtree } from "./engines/in-memory.js";
import { least, leastInline, leastOrdered } from "./engines/least.js";
import { lmdb } from "./engines/lmdb.js";
import { redis } from "./engines/redis.js";
import { rocksdb } from "./engines/rocksdb.js";
import { sqlite, sqliteGrouped } from "./engines/sqlite.js";

/** In the order of the columns. */
export const ENGINES: readonly Engine[] = [
  fulmar,
  fulmarInline,
  lmdb,
  classicLevel,
  rocksdb,
  sqlite,
  sqliteGrouped,
  redis,
  least,
  leastInline,
  leastOrdered,
  map,
  sortedBtree,
];

export function findEngine(name: string): Engine {
  const engine = ENGINES.find((candidate) => candidate.name === name);
  if (engine === undefined) throw new Error(`no engine "${name}"`);
  return engine;
}
