import { FulmarTypeError } from "../base/errors.js";
import { DEFAULT_LIMITS, type Limits, NAME_BYTES_MAX } from "../base/limits.js";
import { checkOptions, integerOption, textOf } from "../base/options.js";
import { type Codec, resolveCodec } from "../codec/codec.js";
import type { FlushPolicy } from "../durability/commit-log.js";
import type {
  CheckpointPolicy,
  Durability,
  Eviction,
  OpenOptions,
  ProgressListener,
  SharedPolicy,
} from "./types.js";

const OPEN_OPTIONS = [
  "durability",
  "codec",
  "name",
  "limits",
  "segmentBytes",
  "flushInterval",
  "flushCommits",
  "flushBytes",
  "sync",
  "checkpoint",
  "compression",
  "historyBytes",
  "encryption",
  "maxMemory",
  "eviction",
  "onProgress",
  "shared",
  "runtime",
] as const satisfies readonly (keyof OpenOptions)[];

const MIB = 1024 * 1024;
/** Tables alone take some hundred KiB in a store with a policy. */
const MEMORY_BYTES_MIN = MIB;
const EVICTIONS: readonly unknown[] = [
  "none",
  "lru",
  "lfu",
  "random",
  "arc",
  "sieve",
  "nearest-expiry",
] satisfies Eviction[];
const DURABILITIES: readonly unknown[] = ["memory", "relaxed", "full"] satisfies Durability[];

/** The options of `open`, checked and completed. */
export interface Settings<V> {
  readonly durability: Durability;
  readonly codec: Codec<V>;
  readonly name: string;
  readonly limits: Limits;
  readonly segmentBytes: number;
  readonly flush: FlushPolicy;
  readonly inlineSync: boolean;
  readonly checkpoint: Required<CheckpointPolicy>;
  /** Whether checkpoints and backups are compressed. */
  readonly compressed: boolean;
  readonly historyBytes: number;
  /** Whether keys were given, whatever they are. */
  readonly isEncrypted: boolean;
  /** Undefined: unlimited. */
  readonly memoryBytesMax: number | undefined;
  readonly eviction: Eviction;
  readonly onProgress: ProgressListener | undefined;
  /** Undefined when other threads cannot read the store. */
  readonly shared: Required<SharedPolicy> | undefined;
}

/** @throws TypeError or RangeError with a code that says which option is wrong. */
export function resolveSettings<V>(directory: string | undefined, options: OpenOptions<V>): Settings<V> {
  checkOptions(options, OPEN_OPTIONS, "open");
  if (directory !== undefined && (typeof directory !== "string" || directory === "")) {
    const message = "open: the directory must be a non-empty string; in memory: open(undefined, options)";
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }
  const { sync, onProgress } = options;
  if (sync !== undefined && sync !== "background" && sync !== "inline") {
    throw new FulmarTypeError(
      "INVALID_ARGUMENT",
      `sync must be "background" or "inline", not ${textOf(sync)}`,
    );
  }
  if (options.encryption !== undefined && directory === undefined) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "encryption needs a directory: nothing else is encrypted");
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new FulmarTypeError("INVALID_ARGUMENT", "onProgress must be a function");
  }
  return {
    durability: checkDurability(options.durability) ?? (directory === undefined ? "memory" : "full"),
    codec: resolveCodec(options.codec),
    name: checkName(options.name) ?? "",
    limits: resolveLimits(options.limits),
    segmentBytes: integerOption(options.segmentBytes, "segmentBytes", 16 * MIB, 65_536, 1024 * MIB),
    flush: {
      intervalMs: integerOption(options.flushInterval, "flushInterval", 1000, 1, 3_600_000),
      commits: integerOption(options.flushCommits, "flushCommits", 100_000, 1, 500_000),
      bytes: integerOption(options.flushBytes, "flushBytes", 16 * MIB, 1, 1024 * MIB),
    },
    inlineSync: sync === "inline",
    checkpoint: resolveCheckpoint(options.checkpoint),
    compressed: checkCompression(options.compression),
    historyBytes: integerOption(
      options.historyBytes,
      "historyBytes",
      directory === undefined ? MIB : 64 * MIB,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    isEncrypted: options.encryption !== undefined,
    memoryBytesMax: checkMemory(options.maxMemory),
    eviction: checkEviction(options),
    onProgress,
    shared: resolveShared(options.shared),
  };
}

/** Checks a durability level; undefined stays undefined. */
export function checkDurability(value: unknown): Durability | undefined {
  if (value === undefined) return undefined;
  if (DURABILITIES.includes(value)) return value as Durability;
  throw new FulmarTypeError(
    "INVALID_ARGUMENT",
    `durability must be "memory", "relaxed" or "full", not ${textOf(value)}`,
  );
}

function checkCompression(value: unknown): boolean {
  if (value === undefined || value === "none") return false;
  if (value === "deflate") return true;
  throw new FulmarTypeError(
    "INVALID_ARGUMENT",
    `compression must be "none" or "deflate", not ${textOf(value)}`,
  );
}

function checkMemory(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  return integerOption(value as number, "maxMemory", 0, MEMORY_BYTES_MIN, Number.MAX_SAFE_INTEGER);
}

function checkEviction({ eviction, maxMemory }: Pick<OpenOptions, "eviction" | "maxMemory">): Eviction {
  if (eviction === undefined) return "none";
  if (!EVICTIONS.includes(eviction)) {
    const message = `eviction must be one of ${EVICTIONS.join(", ")}, not ${textOf(eviction)}`;
    throw new FulmarTypeError("INVALID_ARGUMENT", message);
  }
  if (maxMemory === undefined) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "eviction needs maxMemory, which says when to evict");
  }
  return eviction;
}

function checkName(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || new TextEncoder().encode(value).length > NAME_BYTES_MAX) {
    throw new FulmarTypeError("INVALID_ARGUMENT", `name must be a string of at most ${NAME_BYTES_MAX} bytes`);
  }
  return value;
}

function resolveLimits(limits: Partial<Limits> | undefined): Limits {
  checkOptions(limits, Object.keys(DEFAULT_LIMITS), "limits");
  const lowered = (name: keyof Limits): number =>
    integerOption(limits?.[name], `limits.${name}`, DEFAULT_LIMITS[name], 1, DEFAULT_LIMITS[name]);
  return {
    keyBytesMax: lowered("keyBytesMax"),
    valueBytesMax: lowered("valueBytesMax"),
    commitEntriesMax: lowered("commitEntriesMax"),
    commitBytesMax: lowered("commitBytesMax"),
  };
}

function resolveShared(shared: OpenOptions["shared"]): Required<SharedPolicy> | undefined {
  if (shared === undefined || shared === false) return undefined;
  const policy = shared === true ? {} : shared;
  checkOptions(policy, ["idleMs"], "shared");
  return { idleMs: integerOption(policy.idleMs, "shared.idleMs", 60_000, 10, 86_400_000) };
}

function resolveCheckpoint(policy: CheckpointPolicy | undefined): Required<CheckpointPolicy> {
  const names = ["everyCommits", "everyMs", "everyBytes"] as const;
  checkOptions(policy, names, "checkpoint");
  const unlimited = Number.MAX_SAFE_INTEGER;
  return {
    everyCommits: integerOption(policy?.everyCommits, "checkpoint.everyCommits", unlimited, 1, unlimited),
    everyMs: integerOption(policy?.everyMs, "checkpoint.everyMs", unlimited, 10, unlimited),
    // 0: when the log has outgrown the last checkpoint.
    everyBytes: integerOption(policy?.everyBytes, "checkpoint.everyBytes", 0, 1, unlimited),
  };
}
