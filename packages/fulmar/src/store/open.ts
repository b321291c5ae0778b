import { toHex } from "../base/bytes.js";
import { runtimeOf } from "../base/runtime/check.js";
import { nodeRuntime } from "../base/runtime/node/node-runtime.js";
import { progressTeller } from "../base/tell.js";
import type { OptionsOfBigint, OptionsOfBytes, OptionsOfText } from "../codec/codec.js";
import { DataDirectory } from "../durability/data-directory.js";
import { withKeyring } from "../durability/keyring.js";
import { createEntryHash } from "../memory/entry-hash.js";
import { createEngine } from "../memory/offheap/engine.js";
import { Sharing } from "../memory/shared/sharing.js";
import { HybridClock } from "../record/hybrid-clock.js";
import { ORIGIN_ID_BYTES, OriginTable } from "../record/origins.js";
import { type CoreParts, StoreCore } from "./core.js";
import { registerCore } from "./cores.js";
import { createKeyring } from "./encryption.js";
import { boundMemory, isTracking } from "./memory.js";
import { registerPort } from "./port.js";
import { resolveSettings } from "./settings.js";
import { Store } from "./store.js";
import { createPort } from "./store-port.js";
import type { OpenOptions } from "./types.js";

const TWO_32 = 2 ** 32;

/**
 * Opens a store: durable with a directory, which is created when missing, in memory without. One
 * process at a time can have a directory open.
 *
 * Rejects with INVALID_ARGUMENT or UNKNOWN_OPTION; LOCKED (details: `pid` of the holder); ACCESS_DENIED,
 * DISK_FULL, IO_ERROR or PATH_UNUSABLE; NOT_A_STORE when the directory holds something else; CORRUPT
 * (details: `file`, `offset`) when what was surely written does not read back; FORMAT_NEWER; ENCRYPTION_KEY_MISSING,
 * ENCRYPTION_KEY_WRONG (details: `file`, `keyId`) or NOT_ENCRYPTED;
 * EVICTION_WITH_PEERS when keys would be evicted that peers have. A directory that was refused is
 * unchanged. A store that holds more than `maxMemory` allows evicts down to it before this resolves; with
 * `eviction: "none"` it opens, and takes no more until something is deleted.
 *
 * @example
 * ```ts
 * import { open } from "fulmar";
 *
 * const db = await open("./data", { durability: "full" });
 * await db.set(["user", 1], { name: "Ada" });
 * for (const { key, value } of db.list({ prefix: ["user"] })) console.log(key, value);
 * await db.close();
 * ```
 */
export function open(
  directory: string | undefined,
  options: OptionsOfBytes<OpenOptions<Uint8Array>>,
): Promise<Store<Uint8Array>>;
export function open(
  directory: string | undefined,
  options: OptionsOfText<OpenOptions<string>>,
): Promise<Store<string>>;
export function open(
  directory: string | undefined,
  options: OptionsOfBigint<OpenOptions<bigint>>,
): Promise<Store<bigint>>;
export function open<V = unknown>(directory?: string, options?: OpenOptions<V>): Promise<Store<V>>;
export async function open<V>(directory?: string, options: OpenOptions<V> = {}): Promise<Store<V>> {
  const settings = resolveSettings(directory, options);
  const given = runtimeOf(options.runtime, nodeRuntime);
  const runtime = withKeyring(given, createKeyring(given, options.encryption));
  const origins = new OriginTable();
  const clock = new HybridClock(runtime.clock);
  const secret = [runtime.random.below(TWO_32), runtime.random.below(TWO_32)] as const;
  const { memoryBytesMax, eviction } = settings;
  const hash = createEntryHash(runtime.cryptography, origins);
  const sharing = settings.shared === undefined ? undefined : new Sharing();
  const engine = createEngine({ hash, secret, tracked: isTracking(eviction), sharing });
  const base = { runtime, settings, engine, origins, clock, sharing };
  let parts: CoreParts<V>;
  if (directory === undefined) {
    origins.intern(randomId());
    parts = { ...base, storeId: randomId(), directory: undefined };
  } else {
    const { segmentBytes, flush, inlineSync, historyBytes, compressed, onProgress } = settings;
    const evicts = eviction !== "none";
    const shape = { segmentBytes, flush, inlineSync, historyBytes, evicts, compressed };
    const wishes = { ...shape, onProgress: progressTeller(given.diagnostics, onProgress) };
    const data = await DataDirectory.open(runtime, directory, engine, origins, wishes);
    clock.observe(data.recovered.hlc);
    engine.keepTombstones = data.recovered.hadPeers;
    parts = { ...base, storeId: data.recovered.storeId, directory: { path: directory, data } };
  }
  let core: StoreCore<V> | undefined;
  try {
    if (memoryBytesMax !== undefined) {
      const { random, timers } = runtime;
      const surroundings = { random, timers, origins: origins.size, secret };
      parts = { ...parts, memory: await boundMemory(engine, memoryBytesMax, eviction, surroundings) };
    }
    core = new StoreCore(parts);
    await core.evictExcess();
    const store = new Store(core);
    registerPort(store, createPort(core));
    registerCore(store, core as StoreCore<unknown>);
    return store;
  } catch (cause) {
    // No memory for what a store needs beside its data: nobody gets it, and the directory has to be free.
    await letGo(parts, core).catch(() => undefined);
    throw cause;
  }

  function randomId(): string {
    const bytes = new Uint8Array(ORIGIN_ID_BYTES);
    runtime.random.fill(bytes);
    return toHex(bytes);
  }
}

function letGo<V>({ directory, clock }: CoreParts<V>, core: StoreCore<V> | undefined): Promise<void> {
  if (core !== undefined) return core.close();
  if (directory === undefined) return Promise.resolve();
  const { seq, version } = directory.data.recovered;
  return directory.data.close({ seq, version, hlc: clock.last, clean: false });
}
