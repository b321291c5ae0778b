import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import type { CommitLog, LogObserver } from "../../src/durability/commit-log.js";
import { DataDirectory } from "../../src/durability/data-directory.js";
import type { CheckpointResult, DirectoryOptions } from "../../src/durability/directory-types.js";
import { ALL_KEYS } from "../../src/keys/range.js";
import { LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { createEntryHash } from "../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
import {
  COMMIT_HEADER_BYTES,
  type CoverageChange,
  coverageBytes,
  writeCommitHead,
} from "../../src/record/commit.js";
import type { Coverage } from "../../src/record/coverage.js";
import { entryBytes, isTombstone, keyOf, TOMBSTONE, valueView, writeEntry } from "../../src/record/entry.js";
import { OriginTable } from "../../src/record/origins.js";
import {
  type SimulatedDisk,
  type SimulatedStorage,
  type StorageOptions,
  simulatedStorage,
} from "../../src/testing/simulated/index.js";

export const ROOT = "/data";

export const OPTIONS: DirectoryOptions = {
  segmentBytes: 4096,
  flush: { intervalMs: 1000, commits: 100_000, bytes: 1 << 24 },
  inlineSync: false,
};

export function machine(options: StorageOptions = {}): SimulatedStorage {
  return simulatedStorage({ cryptography: nodeCryptography, sectorBytes: 512, ...options });
}

/** A new machine around an image of a disk. */
export function machineOn(disk: SimulatedDisk, seed = 7): SimulatedStorage {
  return simulatedStorage({ cryptography: nodeCryptography, disk, seed });
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface Written {
  readonly version: number;
  readonly key: string;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
}

/** A committer as small as can be: one entry a commit, everything told apart by its value. */
export class MiniStore implements LogObserver {
  readonly runtime: Runtime;
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly directory: DataDirectory;
  readonly log: CommitLog;
  /** Commits of this run that were not refused, in order. */
  readonly written: Written[] = [];
  readonly refusals: { version: number; error: Error }[] = [];
  refusalsDurable = 0;
  failure: Error | undefined;
  loggedVersion = 0;
  syncedVersion = 0;
  #version: number;
  #seq: number;
  #hlc: number;
  readonly #coverage: Coverage;
  #changed: (() => void)[] = [];

  private constructor(
    runtime: Runtime,
    engine: MemoryEngine,
    origins: OriginTable,
    directory: DataDirectory,
  ) {
    this.runtime = runtime;
    this.engine = engine;
    this.origins = origins;
    this.directory = directory;
    const { version, seq, hlc } = directory.recovered;
    this.#version = version;
    this.#seq = seq;
    this.#hlc = hlc;
    this.#coverage = directory.recovered.coverage.copy();
    this.log = directory.startLog(this);
  }

  static async open(
    runtime: Runtime,
    options: Partial<DirectoryOptions> = {},
    root = ROOT,
  ): Promise<MiniStore> {
    const origins = new OriginTable();
    const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
    const directory = await DataDirectory.open(runtime, root, engine, origins, { ...OPTIONS, ...options });
    return new MiniStore(runtime, engine, origins, directory);
  }

  get seq(): number {
    return this.#seq;
  }

  get version(): number {
    return this.#version;
  }

  put(key: string, value: string | undefined, changes: readonly CoverageChange[] = [], origin = 1): number {
    const keyBytes = encoder.encode(key);
    const valueBytes = encoder.encode(value ?? "");
    const flags = value === undefined ? TOMBSTONE : 0;
    const version = ++this.#version;
    const seq = origin === 1 ? ++this.#seq : 1;
    const length = entryBytes(keyBytes.length, valueBytes.length, flags);
    const space = this.log.begin(version, COMMIT_HEADER_BYTES + coverageBytes(changes) + length);
    const at = writeCommitHead(space.bytes, space.at, 1, changes);
    const fields = {
      key: keyBytes,
      value: valueBytes,
      flags,
      origin,
      hlc: ++this.#hlc,
      seq,
      deadline: 0,
      valueChecksum: 0,
    };
    writeEntry(space.bytes, at, fields);
    this.engine.put(version, space.bytes, at, length);
    for (const change of changes) this.#coverage.set(this.origins.id(change.origin), change.coverage);
    this.written.push({ version, key, value });
    this.log.end();
    return version;
  }

  /** Writes and waits until it is synced. */
  async save(key: string, value: string | undefined): Promise<void> {
    const version = this.put(key, value);
    this.log.want("synced");
    await this.until(() => this.syncedVersion >= version);
  }

  /** Waits for a state that the log reports; throws what makes it impossible. */
  async until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  logged(version: number): void {
    this.loggedVersion = version;
    this.#notify();
  }

  synced(version: number): void {
    this.syncedVersion = version;
    this.engine.settle(Math.min(version, this.engine.version));
    this.#notify();
  }

  refused(version: number, error: Error): void {
    this.refusals.push({ version, error });
    this.engine.rollback(version);
    while ((this.written.at(-1)?.version ?? 0) > version) this.written.pop();
    this.#notify();
  }

  refusalDurable(): void {
    this.refusalsDurable++;
    this.#notify();
  }

  failed(error: Error): void {
    this.failure = error;
    this.#notify();
  }

  async checkpoint(): Promise<CheckpointResult> {
    const version = this.syncedVersion > 0 ? this.syncedVersion : this.engine.version;
    const pin = this.engine.pin(Math.min(version, this.engine.version));
    try {
      const coverage = this.#coverage.copy();
      const source = { version: pin.version, seq: this.#seq, hlc: this.#hlc, coverage, engine: this.engine };
      return await this.directory.checkpoint({
        ...source,
        read: () => pin.release(),
        synced: () => Promise.resolve(),
      });
    } finally {
      pin.release();
    }
  }

  close(): Promise<void> {
    return this.directory.close({
      seq: this.#seq,
      hlc: this.#hlc,
      version: this.#version,
      clean: this.failure === undefined,
    });
  }

  contents(): Map<string, string> {
    return contents(this.engine);
  }

  #notify(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }
}

export function contents(engine: MemoryEngine): Map<string, string> {
  const map = new Map<string, string>();
  const cursor = engine.scan(ALL_KEYS, LATEST, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
    const [slab, at] = [engine.slab(ref), engine.offset(ref)];
    if (!isTombstone(slab, at)) map.set(decoder.decode(keyOf(slab, at)), decoder.decode(valueView(slab, at)));
  }
  return map;
}

/** What commits leave when applied in order. */
export function replayed(
  commits: readonly Written[],
  before: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const state = new Map(before);
  for (const { key, value } of commits) {
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  }
  return state;
}

/** The paths of all files below a directory, with their bytes. */
export function filesOf(storage: SimulatedStorage, part: string): [string, Uint8Array][] {
  return [...storage.disk.image()]
    .filter(([path]) => path.includes(part))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Changes a file behind the store's back, durably. */
export async function edit(
  storage: SimulatedStorage,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const { fileSystem } = storage.restart();
  const handle = await fileSystem.open(path, "update");
  const bytes = new Uint8Array(await handle.size());
  await handle.read(bytes, 0);
  const changed = change(bytes) ?? bytes;
  await handle.truncate(0);
  await handle.syncData();
  await handle.write(changed, 0);
  await handle.syncData();
  await handle.close();
}

/** Opens, which must fail, and returns the error. */
export async function refusal(
  storage: SimulatedStorage,
): Promise<{ code?: unknown; details?: Record<string, unknown>; message: string }> {
  const before = storage.disk.fingerprint();
  try {
    const store = await MiniStore.open(storage.restart());
    await store.close();
  } catch (error) {
    if (storage.disk.fingerprint() !== before) throw new Error("a refused directory was changed");
    return error as { code?: unknown; message: string };
  }
  throw new Error("the directory was opened");
}
