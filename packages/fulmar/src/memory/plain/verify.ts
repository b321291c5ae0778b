import { assert } from "../../base/assert.js";
import { equalBytes } from "../../base/bytes.js";
import { entryLength, keyOf } from "../../record/entry.js";
import { LATEST } from "../engine.js";
import type { PlainIndexes } from "./indexes.js";
import type { PinSet } from "./pins.js";
import type { KeyChain, PlainRecord } from "./record.js";
import type { VersionQueue } from "./version-queue.js";

/** The whole state of a plain engine. */
export interface PlainState {
  readonly indexes: PlainIndexes;
  readonly pins: PinSet;
  readonly unsettled: VersionQueue;
  readonly version: number;
  readonly settled: number;
  readonly keepTombstones: boolean;
}

/** Throws INVARIANT if anything contradicts anything else, or is kept without need. */
export function verifyEngine(state: PlainState): void {
  const { indexes } = state;
  assert(state.settled <= state.version, "what is settled was applied");
  indexes.chains.verify();
  const records: PlainRecord[] = [];
  for (const chain of indexes.chains) records.push(...verifyChain(state, chain));
  assert(records.length === indexes.table.size, "every record is in a chain");
  assert(indexes.keys.size === indexes.chains.size, "every key is in the table");
  verifyOrigins(indexes, records.length);
  verifyDeadlines(indexes, records);
  verifyUsage(indexes, records);
  const unsettled = state.unsettled.live();
  const expected = records.filter(({ version }) => version > state.settled).length;
  assert(unsettled.length === expected, "every unsettled record is queued");
  for (const record of unsettled) assert(record.version > state.settled, "settled records are not queued");
}

function verifyChain(state: PlainState, chain: KeyChain): PlainRecord[] {
  const { key } = chain;
  assert(state.indexes.chainOf(key, 0, key.length) === chain, "the table leads to every key");
  const records: PlainRecord[] = [];
  let newer: PlainRecord | undefined;
  for (let record: PlainRecord | undefined = chain.newest; record !== undefined; record = record.older) {
    assert(record.newer === newer, "versions are linked both ways");
    assert(newer === undefined || newer.version > record.version, "versions of a key descend");
    verifyRecord(state, chain, record);
    records.push(record);
    newer = record;
  }
  return records;
}

function verifyRecord(
  { indexes, settled, version, pins, keepTombstones }: PlainState,
  chain: KeyChain,
  record: PlainRecord,
): void {
  assert(record.live && indexes.table.get(record.ref) === record, "a reference leads to its record");
  assert(entryLength(record.bytes, 0) === record.bytes.length, "a record holds one entry");
  assert(equalBytes(keyOf(record.bytes, 0), chain.key) && record.key === chain.key, "a chain has one key");
  assert(record.version <= version, "no record is of a commit to come");
  const top = record.newer?.version ?? LATEST;
  const isBare =
    record.tombstone && record.older === undefined && record.version <= settled && !keepTombstones;
  const isFinal = record.newer === undefined ? isBare : top <= settled;
  if (!isFinal) return;
  assert(pins.holds(record, top), "what nobody needs is freed, and what a pin needs is held by it");
}

function verifyOrigins({ origins }: PlainIndexes, total: number): void {
  if (origins === undefined) return;
  let count = 0;
  for (const [origin, records] of origins) {
    records.verify();
    assert(records.size > 0, "origins without records are forgotten");
    for (const record of records)
      assert(record.live && record.origin === origin, "records are with their origin");
    count += records.size;
  }
  assert(count === total, "every record is with its origin");
}

function verifyDeadlines(indexes: PlainIndexes, records: readonly PlainRecord[]): void {
  indexes.deadlines.verify();
  const expiring = new Set(
    records.filter(
      ({ newer, tombstone, deadline }) => !newer && !tombstone && deadline !== Number.POSITIVE_INFINITY,
    ),
  );
  assert(indexes.deadlines.size === expiring.size, "every newest entry with a deadline is queued");
  for (const record of indexes.deadlines)
    assert(expiring.has(record), "only newest entries are queued to expire");
}

function verifyUsage(indexes: PlainIndexes, records: readonly PlainRecord[]): void {
  const usage = indexes.usage();
  const newest = records.filter(({ newer }) => newer === undefined);
  const tombstones = newest.filter(({ tombstone }) => tombstone).length;
  assert(usage.tombstones === tombstones, "tombstones are counted");
  assert(usage.entries === newest.length - tombstones, "entries are counted");
  assert(usage.oldVersions === records.length - newest.length, "old versions are counted");
  const bytes = records.reduce((sum, record) => sum + record.bytes.length, 0);
  assert(usage.recordBytes === bytes, "record bytes are counted");
}
