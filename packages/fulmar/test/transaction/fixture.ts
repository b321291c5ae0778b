import { DEFAULT_LIMITS, type Limits } from "../../src/base/limits.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { encodeKey, type Key } from "../../src/keys/key.js";
import { LATEST, NONE } from "../../src/memory/engine.js";
import { createEntryHash } from "../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { Coverage } from "../../src/record/coverage.js";
import {
  type EntryFields,
  entryBytes,
  HAS_DEADLINE,
  isTombstone,
  TOMBSTONE,
  valueView,
  writeEntry,
} from "../../src/record/entry.js";
import { HybridClock } from "../../src/record/hybrid-clock.js";
import { OriginTable } from "../../src/record/origins.js";
import { Committer, type CommitterParts, type LocalWrite } from "../../src/transaction/committer.js";
import type { CommitNotice } from "../../src/transaction/publication.js";
import { ManualLog } from "./manual-log.js";

export const OWN = "00".repeat(15).concat("aa");
export const PEER = "00".repeat(15).concat("bb");
export const OTHER = "00".repeat(15).concat("cc");

export const key = (value: Key): Uint8Array => encodeKey(value, 4096);
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export function setting(name: Key, value: string, deadline = 0): LocalWrite {
  return { key: key(name), value: text(value), flags: deadline === 0 ? 0 : HAS_DEADLINE, deadline };
}

export function deletion(name: Key): LocalWrite {
  return { key: key(name), value: new Uint8Array(0), flags: TOMBSTONE, deadline: 0 };
}

/** A committer on the plain engine with a log that moves by hand and a wall clock that the test sets. */
export function committerFixture(
  options: {
    limits?: Partial<Limits>;
    wallMs?: number;
    turn?: () => Promise<void>;
    memoryLimit?: CommitterParts["memoryLimit"];
  } = {},
) {
  const wall = { ms: options.wallMs ?? Date.UTC(2026, 0, 1) };
  const base = nodeRuntime();
  const timers = { ...base.timers, turn: options.turn ?? base.timers.turn };
  const runtime = { ...base, timers, clock: { wallMs: () => wall.ms, monotonicMs: () => wall.ms } };
  const origins = new OriginTable();
  origins.intern(OWN);
  const engine = createPlainEngine({ hash: createEntryHash(runtime.cryptography, origins) });
  engine.orderByOrigin();
  const clock = new HybridClock(runtime.clock);
  const published: CommitNotice[] = [];
  const failures: Error[] = [];
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const { memoryLimit } = options;
  const numbers = { version: 0, seq: 0, coverage: new Coverage() };
  const start = { runtime, engine, origins, clock, limits, ...numbers, memoryLimit };
  /** What the committer told its listener, by name; a test may do something in the middle of it. */
  const told: string[] = [];
  const when: { [name: string]: (() => void) | undefined } = {};
  const hear = (name: string): void => {
    told.push(name);
    when[name]?.();
  };
  const committer: Committer = new Committer(start, {
    published: (notices) => {
      published.push(...notices);
      hear("published");
    },
    synced: () => hear("synced"),
    refused: () => hear("refused"),
    evicted: () => hear("evicted"),
    failed: (error) => failures.push(error),
    letGo: () => hear("letGo"),
  });
  const log = new ManualLog(() => committer);
  committer.attach(log);
  committer.interest = () => true;

  function read(name: Key, at = LATEST): string | undefined {
    const ref = engine.find(key(name), at);
    if (ref === NONE || isTombstone(engine.slab(ref), engine.offset(ref))) return undefined;
    return new TextDecoder().decode(valueView(engine.slab(ref), engine.offset(ref)));
  }

  /** One foreign entry, encoded as a page. The key may be given as bytes that no user's key has. */
  function foreign(
    origin: string,
    seq: number,
    hlc: number,
    name: Key,
    value: string | undefined,
    keyBytes = key(name),
  ): Uint8Array {
    const bytes = value === undefined ? new Uint8Array(0) : text(value);
    const fields: EntryFields = {
      key: keyBytes,
      value: bytes,
      flags: value === undefined ? TOMBSTONE : 0,
      origin: origins.intern(origin),
      hlc,
      seq,
      deadline: 0,
      valueChecksum: runtime.checksum.crc32(bytes, 0, bytes.length, 0),
    };
    const page = new Uint8Array(entryBytes(fields.key.length, bytes.length, fields.flags));
    writeEntry(page, 0, fields);
    return page;
  }

  return { committer, log, engine, clock, origins, published, failures, told, when, wall, read, foreign };
}

export function covering(origin: string, upTo: number): Coverage {
  const coverage = new Coverage();
  coverage.set(origin, { upTo, holes: [] });
  return coverage;
}

/** How a promise stands right now, after everything that is ready has run. */
export async function stateOf(promise: Promise<unknown>): Promise<"pending" | "resolved" | Error> {
  const pending = Symbol("pending");
  const settled = promise.then(
    () => "resolved" as const,
    (error: Error) => error,
  );
  const tick = new Promise<typeof pending>((resolve) => setImmediate(() => resolve(pending)));
  const state = await Promise.race([settled, tick]);
  return state === pending ? "pending" : state;
}
