import type { Random, Runtime } from "../../src/base/runtime/interface.js";
import { nodeCompression } from "../../src/base/runtime/node/compression.js";
import { withKeyring } from "../../src/durability/keyring.js";
import { createKeyring } from "../../src/store/encryption.js";
import { MiniStore, machine, ROOT } from "./harness.js";

/** Bytes that count up, so that every run writes the same files. */
class CountingRandom implements Random {
  #next = 1;

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = this.#next++;
  }

  below(bound: number): number {
    return this.#next++ % bound;
  }
}

export const GOLDEN_CONTENTS: ReadonlyMap<string, string> = new Map([
  ["", "empty key"],
  ["k", "v2"],
  ["no value", ""],
  ["theirs", "merged"],
]);

/** What {@link writeGoldenLong} stores: two fill the first segment, four each of the next. */
export const LONG_CONTENTS: ReadonlyMap<string, string> = new Map(
  Array.from({ length: 12 }, (_, i) => [`n${i}`, String(i % 10).repeat(i < 2 ? 1850 : 900)]),
);

/** Writes a store whose log goes through several segments, with a checkpoint after half of it. */
export async function writeGoldenLong(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom() };
  const store = await MiniStore.open(runtime);
  for (const [key, value] of LONG_CONTENTS) {
    await store.save(key, value);
    // The next segment is prepared beside the writes: here it has to be there in time.
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    if (key === "n5") await store.checkpoint();
  }
  await store.close();
  return new Map([...storage.disk.image()].map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]));
}

/** What {@link writeGoldenCompressed} stores. */
export const COMPRESSED_CONTENTS: ReadonlyMap<string, string> = new Map(
  ["a", "b", "c"].map((key) => [key, `the value of ${key}, `.repeat(8)]),
);

/** Writes a store whose one checkpoint is compressed by the machine's own zlib. */
export async function writeGoldenCompressed(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom(), compression: nodeCompression };
  const store = await MiniStore.open(runtime, { compressed: true });
  for (const [key, value] of COMPRESSED_CONTENTS) await store.save(key, value);
  await store.checkpoint();
  await store.close();
  return new Map([...storage.disk.image()].map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]));
}

/** What {@link writeGoldenEncrypted} is encrypted under, and stores. */
export const ENCRYPTED_KEY = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
export const ENCRYPTED_CONTENTS: ReadonlyMap<string, string> = new Map([["k", "v2"]]);

/** Writes a small store whose files are all encrypted. */
export async function writeGoldenEncrypted(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom() };
  const store = await MiniStore.open(withKeyring(runtime, createKeyring(runtime, { key: ENCRYPTED_KEY })));
  await store.save("k", "v1");
  await store.checkpoint();
  await store.save("k", "v2");
  await store.close();
  return new Map([...storage.disk.image()].map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]));
}

/** What {@link writeGoldenKilled} stores, without what a crash tore. */
export const KILLED_CONTENTS: ReadonlyMap<string, string> = new Map([
  ["k", "v2"],
  ["theirs", "merged"],
]);

/**
 * Writes a store that had a peer, and was killed: it has a tombstone, what it merged, and an end of the log that no
 * sync is known to have covered and that a crash tore.
 */
export async function writeGoldenKilled(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom() };
  const store = await MiniStore.open(runtime);
  await store.directory.rememberPeers();
  store.engine.keepTombstones = true;
  await store.save("k", "v1");
  const foreign = store.origins.intern("f0".repeat(16));
  store.put("theirs", "merged", [{ origin: foreign, coverage: { upTo: 9, holes: [] } }], foreign);
  await store.save("gone", "deleted below");
  await store.save("gone", undefined);
  await store.checkpoint();
  await store.save("k", "v2");
  await store.save("torn", "a value of which the end never came to the disk");
  const files = new Map(
    [...storage.disk.image()].map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]),
  );
  storage.kill();
  const log = files.get("log/000000000001.log") ?? new Uint8Array(0);
  const end = log.findLastIndex((byte) => byte !== 0) + 1;
  log.fill(0, end - 30, end);
  return files;
}

/** Writes a small store with one of everything and returns its files by their path below the root. */
export async function writeGolden(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom() };
  const store = await MiniStore.open(runtime);
  await store.save("k", "v1");
  await store.save("", "empty key");
  await store.save("gone", "deleted below");
  const foreign = store.origins.intern("f0".repeat(16));
  const coverage = { upTo: 9, holes: [{ from: 3, to: 4 }] };
  store.put("theirs", "merged", [{ origin: foreign, coverage }], foreign);
  await store.save("gone", undefined);
  await store.checkpoint();
  await store.save("no value", "");
  await store.save("k", "v2");
  await store.close();
  const files = [...storage.disk.image("durable")];
  return new Map(files.map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]));
}
