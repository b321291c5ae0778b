import { FulmarRangeError, FulmarTypeError } from "fulmar";
import type { FileStore } from "./file-store.js";
import type { MirrorOptions } from "./mirror.js";
import { CHUNK_BYTES_MAX } from "./model.js";

/** Longer ones the system's timers take for one millisecond. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const BYTES_MAX = Number.MAX_SAFE_INTEGER;
/** Least and most of the options that are numbers. */
const NUMBERS = {
  rescanIntervalMs: [1, TIMER_MS_MAX],
  orphanIntervalMs: [1, TIMER_MS_MAX],
  debounceMs: [0, TIMER_MS_MAX],
  tasksMax: [1, 10_000],
  bufferBytesMax: [1, BYTES_MAX],
} as const satisfies Partial<Record<keyof MirrorOptions, Bounds>>;
const SIZES = {
  chunkBytes: [1, CHUNK_BYTES_MAX],
  atomicBytesMax: [0, BYTES_MAX],
  batchBytes: [1, BYTES_MAX],
} as const satisfies Record<keyof Required<MirrorOptions>["sizes"], Bounds>;
const OTHERS = [
  "directory",
  "store",
  "index",
  "watch",
  "sizes",
  "onAction",
] satisfies (keyof MirrorOptions)[];
const OPTIONS: readonly string[] = [...OTHERS, ...Object.keys(NUMBERS)];
const METHODS = [
  "get",
  "has",
  "set",
  "batch",
  "list",
  "keys",
  "watch",
  "status",
] satisfies (keyof FileStore)[];

type Bounds = readonly [least: number, most: number];

/** Refuses what cannot be a mirror. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkMirrorOptions(options: MirrorOptions): void {
  checkMembers(options, OPTIONS, "startMirror");
  const { directory, store, index, watch, sizes, onAction } = options;
  checkDirectory(directory, "directory");
  checkStore(store, "store");
  checkStore(index, "index");
  if (watch !== undefined && typeof watch !== "boolean") throw refusal("watch must be true or false");
  if (onAction !== undefined && typeof onAction !== "function") throw refusal("onAction must be a function");
  checkNumbers(options, NUMBERS);
  if (sizes === undefined) return;
  checkMembers(sizes, Object.keys(SIZES), "sizes");
  checkNumbers(sizes, SIZES);
}

/** @throws INVALID_ARGUMENT for what is no path of the system */
export function checkDirectory(directory: unknown, name: string): void {
  if (typeof directory === "string" && directory !== "" && !/\0|\p{Surrogate}/u.test(directory)) return;
  throw refusal(`${name} must be the path of a directory`);
}

/** An error of the calling program. */
export function refusal(message: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_ARGUMENT", message);
}

/** Whether a value is an array; never an error of a proxy that was revoked. */
export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Whether a value has members; never an error of a proxy that was revoked. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  try {
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function checkMembers(options: unknown, known: readonly string[], where: string): void {
  if (!isObject(options)) throw refusal(`${where}: options must be an object`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const message = `${where}: unknown option "${name}"; known: ${known.join(", ")}`;
    throw new FulmarTypeError("UNKNOWN_OPTION", message);
  }
}

function checkStore(store: unknown, name: string): void {
  const isStore = isObject(store) && METHODS.every((method) => typeof store[method] === "function");
  if (!isStore) throw refusal(`${name} must be an open store with the codec "bytes"`);
}

function checkNumbers(options: object, bounds: Readonly<Record<string, Bounds>>): void {
  for (const [name, [least, most]] of Object.entries(bounds)) {
    const value: unknown = Reflect.get(options, name);
    if (value === undefined) continue;
    if (typeof value !== "number" || !Number.isInteger(value)) throw refusal(`${name} must be an integer`);
    if (value >= least && value <= most) continue;
    throw new FulmarRangeError("INVALID_ARGUMENT", `${name} must be between ${least} and ${most}`);
  }
}
