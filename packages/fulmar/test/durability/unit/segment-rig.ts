import { expect } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import {
  type SalvagedSegment,
  type SegmentLimit,
  salvageSegment,
} from "../../../src/durability/salvage-segment.js";
import { keyOf } from "../../../src/record/entry.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { edit, MiniStore, machine, ROOT } from "../harness.js";

export const PATH = `${ROOT}/log/000000000001.log`;
export const LARGE = { segmentBytes: 4 * 1024 * 1024 };
export const KEY = { key: new Uint8Array(32).fill(1) };
export const HEADER_LOST = { offset: 0, bytes: 68, what: "the header" };

export interface Log {
  readonly storage: SimulatedStorage;
  /** Where the opening ends, and then each commit. */
  readonly ends: readonly number[];
  readonly keys: Encryption | undefined;
}

/** A segment with a commit for each of these values, the first of version 1. */
export async function segmentOf(values: readonly string[], keys?: Encryption): Promise<Log> {
  const storage = machine();
  const { runtime } = storage;
  const store = await MiniStore.open(withKeyring(runtime, createKeyring(runtime, keys)), LARGE);
  const ends = [store.directory.status().logBytes];
  for (const [i, value] of values.entries()) {
    await store.save(`k${i + 1}`, value);
    ends.push(store.directory.status().logBytes);
  }
  storage.kill();
  return { storage, ends, keys };
}

export interface Saved extends SalvagedSegment {
  /** Version and key of each entry that was handed on. */
  readonly entries: string[];
}

export async function salvaged(
  { storage, keys }: Log,
  { limit, from = 1 }: { limit?: SegmentLimit; from?: number } = {},
): Promise<Saved> {
  const entries: string[] = [];
  const runtime = storage.restart();
  const read = await salvageSegment(withKeyring(runtime, createKeyring(runtime, keys)), PATH, limit, {
    wants: (version) => version >= from,
    entry: (version, bytes, at, length) => {
      expect(at + length).toBeLessThanOrEqual(bytes.length);
      entries.push(`${version} ${new TextDecoder().decode(keyOf(bytes, at))}`);
      return true;
    },
  });
  return { ...read, entries };
}

export function damage({ storage }: Log, change: (bytes: Uint8Array) => void): Promise<void> {
  return edit(storage, PATH, (bytes) => {
    change(bytes);
    return bytes;
  });
}

export const flip =
  (at: number) =>
  (bytes: Uint8Array): void => {
    bytes[at] ^= 0x40;
  };

/** Changes a record that begins and ends there, and makes its checksums right again. */
export function forge(log: Log, at: number, end: number, change: (bytes: Uint8Array) => void): Promise<void> {
  return damage(log, (bytes) => {
    change(bytes);
    writeU32(bytes, at + 36, crc32(bytes, at, at + 36, 0));
    writeU32(bytes, end - 4, crc32(bytes, at + 40, end - 4, readU32(bytes, at + 36)));
  });
}
