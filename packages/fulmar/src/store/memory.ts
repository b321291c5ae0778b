import { FulmarTypeError } from "../base/errors.js";
import type { Random, Timers } from "../base/runtime/interface.js";
import type { MemoryEngine, MemoryUsage } from "../memory/engine.js";
import { createPolicy, POLICY_NAMES, type PolicyName } from "../memory/eviction/create.js";
import { DeadlineVictims } from "../memory/eviction/deadlines.js";
import { Residents } from "../memory/eviction/residents.js";
import type { Victims } from "../memory/eviction/victims.js";
import { KeyHash } from "../memory/offheap/key-hash.js";
import type { Committer } from "../transaction/committer.js";
import { MemoryLimit } from "../transaction/memory-limit.js";
import type { Eviction, EvictOptions, EvictResult, StoreStatus } from "./types.js";

/** Keys that one commit evicts by hand and while a store opens. */
const ENTRIES_PER_STEP = 250;

/** What a store with `maxMemory` has beside its engine. */
export interface BoundMemory {
  readonly limit: MemoryLimit;
  readonly victims: Victims | undefined;
  /** Undefined for policies that need not know of uses. */
  readonly residents: Residents | undefined;
}

/** Whether a policy follows each key and its uses, for which the engine has to be created `tracked`. */
export function isTracking(eviction: Eviction): eviction is PolicyName {
  return (POLICY_NAMES as readonly string[]).includes(eviction);
}

/** Puts a limit on a loaded engine. Lets the event loop turn while it enters the keys that are there. */
export async function boundMemory(
  engine: MemoryEngine,
  limitBytes: number,
  eviction: Eviction,
  parts: {
    readonly random: Random;
    readonly timers: Timers;
    readonly origins: number;
    readonly secret: readonly [number, number];
  },
): Promise<BoundMemory> {
  if (!isTracking(eviction)) {
    const victims = eviction === "none" ? undefined : new DeadlineVictims(engine);
    return { limit: new MemoryLimit(engine, limitBytes, victims), victims, residents: undefined };
  }
  const hash = new KeyHash(parts.secret);
  const policy = createPolicy(eviction, (bound) => parts.random.below(bound));
  const residents = new Residents(engine, policy, (bytes, from, to) => hash.of(bytes, from, to));
  for (const _ of residents.enroll(parts.origins)) await parts.timers.turn();
  return { limit: new MemoryLimit(engine, limitBytes, residents), victims: residents, residents };
}

/** What evicting by hand needs of a store. */
interface EvictionParts {
  readonly committer: Committer;
  readonly timers: Timers;
  readonly assertOpen: () => void;
}

/** Evicts until a goal is reached, in steps that let the event loop turn; `assertOpen` throws once it must end. */
export async function evictBy(
  { committer, timers, assertOpen }: EvictionParts,
  memory: BoundMemory | undefined,
  goal: EvictOptions,
): Promise<EvictResult> {
  if (memory?.victims === undefined) {
    throw new FulmarTypeError(
      "INVALID_ARGUMENT",
      'evict: open the store with a policy, such as eviction: "lru"',
    );
  }
  const bytesMax = goal.bytes ?? (goal.entries === undefined ? undefined : Number.POSITIVE_INFINITY);
  const entriesMax = goal.entries ?? Number.MAX_SAFE_INTEGER;
  let entries = 0;
  let bytes = 0;
  while (entries < entriesMax) {
    const step = committer.evict({
      bytes: bytesMax === undefined ? undefined : bytesMax - bytes,
      entries: Math.min(ENTRIES_PER_STEP, entriesMax - entries),
    });
    if (step.entries === 0) break;
    entries += step.entries;
    bytes += step.bytes;
    await step.done;
    await timers.turn();
    assertOpen();
  }
  return { entries, bytes };
}

/** What a status says of memory. */
export function memoryStatus(
  { recordBytes, overheadBytes, oldVersions }: MemoryUsage,
  parts: {
    readonly engine: MemoryEngine;
    readonly committer: Committer;
    readonly memory: BoundMemory | undefined;
    readonly eviction: Eviction;
  },
): StoreStatus["memory"] {
  const { engine, committer, memory, eviction } = parts;
  const { usedBytes } = memory?.limit ?? engine;
  const { leavingBytes, keptBytes } = engine;
  const used = { recordBytes, overheadBytes, oldVersions, usedBytes, leavingBytes, keptBytes };
  const bound = memory === undefined ? used : { ...used, limitBytes: memory.limit.limitBytes };
  return { ...bound, eviction, evicted: committer.evicted, pinned: pinnedStatus(committer) };
}

function pinnedStatus({ pins }: Committer): StoreStatus["memory"]["pinned"] {
  const { size: states, oldest } = pins;
  if (oldest === undefined) return { states };
  return { states, oldestVersion: oldest.version, oldestMs: pins.ageMs(oldest) };
}
