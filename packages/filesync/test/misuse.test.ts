import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { failureOf, isCoded, type Misuse, mistakes } from "../../fulmar/test/misuse/kinds.js";
import { compareTrees, type MirrorOptions, pathFault, startMirror } from "../src/index.js";
import { memoryStore, temporaryDirectory } from "./harness.js";

/** Starts a mirror, and ends it if that is possible. */
async function tried(options: MirrorOptions): Promise<void> {
  const mirror = await startMirror(options);
  await mirror.close();
}

/** Beside codes of the library there are those of the system, for paths that are none. */
function isRight(error: unknown): boolean {
  return isCoded(error) || /^E[A-Z]+$/.test(String((error as { code?: unknown }).code));
}

test("whatever is given to startMirror is taken, or refused by a code, and begins nothing", async () => {
  const store = await memoryStore();
  const index = await memoryStore();
  const home = await temporaryDirectory();
  const directory = join(home, "tree");
  await mkdir(directory);
  const whole: MirrorOptions = { directory, store, index, watch: false };
  const options = [
    "store",
    "index",
    "watch",
    "rescanIntervalMs",
    "orphanIntervalMs",
    "debounceMs",
    "tasksMax",
    "bufferBytesMax",
    "sizes",
    "onAction",
  ] as const satisfies (keyof MirrorOptions)[];
  const sizes = ["chunkBytes", "atomicBytesMax", "batchBytes"] as const;
  const calls: Misuse[] = [
    ["startMirror", startMirror],
    [
      "directory",
      (odd) => tried({ ...whole, directory: typeof odd === "string" && odd !== "" ? join(home, odd) : odd }),
    ],
    ...options.map((name): Misuse => [name, (odd) => tried({ ...whole, [name]: odd })]),
    ...sizes.map((name): Misuse => [name, (odd) => tried({ ...whole, sizes: { [name]: odd } })]),
    ["an option that there is not", (odd) => tried({ ...whole, misspelt: odd } as MirrorOptions)],
  ];
  const before = store.version;
  expect(await mistakes(calls)).toEqual([]);
  expect([store.version, await readdir(home)]).toEqual([before, ["text", "tree"]]);
  expect([store.status().state, index.status().state]).toEqual(["open", "open"]);
});

test("numbers that would do something else than they say are refused", async () => {
  const whole = { directory: join(await temporaryDirectory(), "none"), store: await memoryStore() };
  const index = whole.store;
  const refused: [object, string][] = [
    // The system's timers take what is longer for one millisecond.
    [{ rescanIntervalMs: 2 ** 31 }, "RangeError INVALID_ARGUMENT"],
    [{ orphanIntervalMs: Number.POSITIVE_INFINITY }, "TypeError INVALID_ARGUMENT"],
    [{ debounceMs: -1 }, "RangeError INVALID_ARGUMENT"],
    [{ tasksMax: 0 }, "RangeError INVALID_ARGUMENT"],
    [{ bufferBytesMax: Number.NaN }, "TypeError INVALID_ARGUMENT"],
    // Peers believe no metadata with longer pieces.
    [{ sizes: { chunkBytes: 64 * 1024 * 1024 + 1 } }, "RangeError INVALID_ARGUMENT"],
    [{ sizes: { chunkBytes: 0 } }, "RangeError INVALID_ARGUMENT"],
    [{ sizes: { batchBytes: 1.5 } }, "TypeError INVALID_ARGUMENT"],
    [{ sizes: { atomicBytes: 1 } }, "TypeError UNKNOWN_OPTION"],
    [{ rescanMs: 1 }, "TypeError UNKNOWN_OPTION"],
  ];
  for (const [options, failure] of refused) {
    expect(await failureOf(() => startMirror({ ...whole, index, ...options }))).toBe(failure);
  }
  await expect(readdir(whole.directory)).rejects.toMatchObject({ code: "ENOENT" });
  expect(await failureOf(() => compareTrees(["a"]))).toBe("RangeError INVALID_ARGUMENT");
});

test("whatever is given to compareTrees and pathFault is taken, or refused by a code", async () => {
  const directory = await temporaryDirectory();
  const calls: Misuse[] = [
    ["compareTrees", compareTrees],
    ["compareTrees, the first", (odd) => compareTrees([odd, directory])],
    ["compareTrees, the second", (odd) => compareTrees([directory, odd])],
    ["pathFault", pathFault],
    ["pathFault, platform", (odd) => pathFault("a", odd)],
  ];
  expect(await mistakes(calls, isRight)).toEqual([]);
});
