import { readU32 } from "../../../src/base/bytes.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  FOOTER_BYTES,
} from "../../../src/durability/checkpoint-format.js";
import { readCheckpoint } from "../../../src/durability/checkpoint-reader.js";
import { CheckpointWriter, type WrittenCheckpoint } from "../../../src/durability/checkpoint-writer.js";
import type { DiskRuntime } from "../../../src/durability/keyring.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import { contents } from "../harness.js";
import { entryOf, IDS, type Item, STATE } from "./checkpoint-bytes.js";

export const PATH = "/checkpoint";

export interface Written extends WrittenCheckpoint {
  readonly file: Uint8Array;
  readonly writes: readonly number[];
  /** Bytes of the memory that each write was made from. */
  readonly memory: readonly number[];
  readonly progress: readonly (readonly [entries: number, bytes: number])[];
  /** Bytes of the file at each sync. */
  readonly syncs: readonly number[];
  /** How many writes there had been when everything was read. */
  readonly wholeAt: readonly number[];
}

export interface WriteOptions {
  readonly hadPeers?: boolean;
  readonly coverage?: Coverage;
  readonly stopped?: () => boolean;
  readonly compressed?: boolean;
}

/** Writes a checkpoint of these items, the first of version 1. */
export async function write(
  runtime: DiskRuntime,
  items: readonly Item[],
  options: WriteOptions = {},
): Promise<Written> {
  const { hadPeers = false, coverage = new Coverage(), stopped = () => false, compressed = false } = options;
  const origins = new OriginTable();
  for (const id of IDS) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  for (const [i, item] of items.entries()) {
    const entry = entryOf(item);
    engine.put(i + 1, entry, 0, entry.length);
  }
  engine.settle(engine.version);
  const version = engine.version;
  const state = { ...STATE, hadPeers, compressed, version };
  const wholeAt: number[] = [];
  const source = {
    version,
    seq: 7,
    hlc: 1000,
    coverage,
    engine,
    read: () => void wholeAt.push(writes.length),
    synced: () => Promise.resolve(),
  };
  const handle = await runtime.fileSystem.open(PATH, "create");
  const writes: number[] = [];
  const memory: number[] = [];
  const syncs: number[] = [];
  const watched = Object.assign(Object.create(handle) as typeof handle, {
    path: PATH,
    write: (bytes: Uint8Array, position: number) => {
      writes.push(bytes.length);
      memory.push(bytes.buffer.byteLength);
      return handle.write(bytes, position);
    },
    syncData: async () => {
      syncs.push(await handle.size());
      await handle.syncData();
    },
  });
  const progress: [number, number][] = [];
  const writer = new CheckpointWriter(runtime, watched, stopped, (...all) => progress.push(all));
  const written = await writer.write(source, state, origins);
  const file = new Uint8Array(await handle.size());
  await handle.read(file, 0);
  await handle.close();
  return { ...written, file, writes, memory, progress, syncs, wholeAt };
}

/** Reads a checkpoint back, checking every byte. */
export async function readBack(runtime: DiskRuntime, { bytes, crc }: Written, version: number) {
  const origins = new OriginTable();
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = true;
  const loader = engine.load();
  const found = { seq: 0, hlc: 0, coverage: new Coverage() };
  const name = { number: STATE.number, version, bytes, crc };
  const target = { loader, origins, found, progress: () => undefined };
  const read = await readCheckpoint(runtime, PATH, name, STATE.storeId, target);
  const { header, entries } = read;
  while (!loader.step());
  loader.finish(header.version);
  return { read, header, entries, found, origins, contents: contents(engine), usage: engine.usage() };
}

/** Whole lengths of the blocks of a file. */
export function blockLengths(file: Uint8Array, from: number): number[] {
  const lengths: number[] = [];
  for (let at = from; at < file.length - FOOTER_BYTES; ) {
    const length = BLOCK_HEAD_BYTES + readU32(file, at) + BLOCK_TAIL_BYTES;
    lengths.push(length);
    at += length;
  }
  return lengths;
}

export const valued = (count: number, bytes: number): Item[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${1000 + i}`, value: `${i}`.padEnd(bytes, "v") }));

/** Puts other bytes in the place of the checkpoint that was written. */
export async function replaceFile(runtime: DiskRuntime, bytes: Uint8Array): Promise<void> {
  const handle = await runtime.fileSystem.open(PATH, "update");
  await handle.write(bytes, 0);
  await handle.close();
}
