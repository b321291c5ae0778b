import { createHash } from "node:crypto";
import { expect } from "vitest";
import { concatBytes, toHex, writeU64 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import type { Cryptography } from "../../src/base/runtime/interface.js";
import {
  type BulkLoader,
  type Cursor,
  type EntryHash,
  type MemoryEngine,
  NONE,
  type Ref,
} from "../../src/memory/engine.js";
import { createEntryHash } from "../../src/memory/entry-hash.js";
import {
  type EntryFields,
  entryBytes,
  entryLength,
  HAS_DEADLINE,
  isTombstone,
  keyOf,
  TOMBSTONE,
  writeEntry,
} from "../../src/record/entry.js";
import { OriginTable } from "../../src/record/origins.js";

const unused = (): never => {
  throw new Error("not part of this test");
};

/** SHA-256 of the platform; nothing else is needed here. */
export const cryptography: Cryptography = {
  sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()),
  hmacSha256: unused,
  deriveKey: unused,
  equal: unused,
  seal: unused,
  sealInPlace: unused,
  unseal: unused,
};

export const ORIGIN_IDS = ["11", "22", "33", "44"].map((pair) => pair.repeat(16));

/** A dictionary that numbers the origins from 1 in the order given. */
export function originTable(ids: readonly string[] = ORIGIN_IDS): OriginTable {
  const table = new OriginTable();
  for (const id of ids) table.intern(id);
  return table;
}

export const hash = createEntryHash(cryptography, originTable());

/** A hash of the whole entry for sequences that take many; no replica would agree on it. */
export const quickHash: EntryHash = (bytes, at, into) => {
  const end = at + entryLength(bytes, at);
  for (let i = 0; i < into.length; i++) into[i] = crc32(bytes, at, end, 0x9e3779b9 * (i + 1));
};

export const bytesOf = (...items: number[]): Uint8Array => Uint8Array.from(items);
export const ascii = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0));

/** The same engine, with its order by origin. */
export function ordered(engine: MemoryEngine): MemoryEngine {
  while (!engine.orderByOrigin());
  return engine;
}

/** An encoded entry; a tombstone when there is no value. */
export function entry(key: Uint8Array, fields: Partial<EntryFields> = {}): Uint8Array {
  const value = fields.value ?? new Uint8Array();
  const hasDeadline = fields.deadline !== undefined && fields.deadline !== Number.POSITIVE_INFINITY;
  const flags =
    fields.flags ?? (fields.value === undefined ? TOMBSTONE : 0) | (hasDeadline ? HAS_DEADLINE : 0);
  const bytes = new Uint8Array(entryBytes(key.length, value.length, flags));
  writeEntry(bytes, 0, {
    origin: 1,
    hlc: 1,
    seq: 1,
    deadline: 0,
    valueChecksum: crc32(value),
    ...fields,
    key,
    value,
    flags,
  });
  return bytes;
}

/** Puts an entry out of the middle of an array, and spoils the array afterwards. */
export function put(engine: MemoryEngine, version: number, bytes: Uint8Array): void {
  const around = concatBytes(bytesOf(255, 255, 255), bytes, bytesOf(255, 255));
  engine.put(version, around, 3, bytes.length);
  around.fill(0xee);
}

/** Loads entries, each with its version, that stand together in the middle of an array, which is spoilt afterwards. */
export function load(loader: BulkLoader, ...items: readonly (readonly [number, Uint8Array])[]): void {
  const parts = items.map(([version, bytes]) => {
    const head = new Uint8Array(8);
    writeU64(head, 0, version);
    return concatBytes(head, bytes);
  });
  const around = concatBytes(bytesOf(255, 255, 255), ...parts, bytesOf(255, 255));
  expect(loader.addAll(around, 3, items.length)).toBe(around.length - 2);
  around.fill(0xee);
}

/** A copy of the entry that a reference stands for, out of the words where there are some. */
export function read(engine: MemoryEngine, ref: Ref): Uint8Array {
  const words = engine.words(ref);
  const slab = words === undefined ? engine.slab(ref) : new Uint8Array(words.buffer);
  const at = engine.offset(ref);
  return new Uint8Array(slab.subarray(at, at + entryLength(engine.slab(ref), at)));
}

export function keyAt(engine: MemoryEngine, ref: Ref): string {
  return toHex(keyOf(engine.slab(ref), engine.offset(ref)));
}

/** Version and bytes of a record, in a form that compares and prints well. */
export function shown(engine: MemoryEngine, ref: Ref): string {
  return ref === NONE ? "none" : `${engine.versionOf(ref)} ${toHex(read(engine, ref))}`;
}

export function drain(engine: MemoryEngine, cursor: Cursor): string[] {
  const records: string[] = [];
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) records.push(shown(engine, ref));
  if (cursor.next() !== NONE) throw new Error("a cursor went on after its end");
  return records;
}

/** `expect(found).toEqual(expected)` for lists that are compared a million times: its own work is most of that. */
export function expectSame<T extends string | number>(found: readonly T[], expected: readonly T[]): void {
  let isSame = found.length === expected.length;
  for (let i = 0; isSame && i < found.length; i++) isSame = found[i] === expected[i];
  if (!isSame) expect(found).toEqual(expected);
}

/** The same without tombstones. */
export function drainLiving(engine: MemoryEngine, cursor: Cursor): string[] {
  const records: string[] = [];
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next())
    if (!isTombstone(engine.slab(ref), engine.offset(ref))) records.push(shown(engine, ref));
  return records;
}
