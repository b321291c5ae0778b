import { beforeEach, describe, expect, test } from "vitest";
import { readU32 } from "../../src/base/bytes.js";
import type { RepairedFile, RepairReport } from "../../src/durability/care-types.js";
import { repairDirectory } from "../../src/durability/repair.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, ROOT, replayed } from "./harness.js";
import { readSegment } from "./log-records.js";

const CHECKPOINT = `${ROOT}/checkpoint/000000000001`;
const KEYS = Array.from({ length: 100 }, (_, n) => `k${String(n).padStart(3, "0")}`);
const CHECKPOINTED = 170;

let storage: SimulatedStorage;
/** What the store held. */
let held: Map<string, string>;
/** Paths of the segments that are kept for watches, oldest first. */
let kept: string[];

/**
 * A store with a checkpoint of several blocks, the whole log before that in kept segments, and some commits behind it:
 * a hundred keys are set, thirty of them set anew (k010 to k039), twenty deleted (k020, k022 ...), twenty set anew
 * (k080 to k099).
 */
beforeEach(async () => {
  storage = machine();
  const store = await MiniStore.open(storage.runtime, { segmentBytes: 32_768, historyBytes: 2 ** 30 });
  const value = (n: number): string => `${n} ${"x".repeat(2000)}`;
  for (const [n, key] of KEYS.entries()) await store.save(key, value(n));
  for (let n = 10; n < 40; n++) await store.save(KEYS[n], value(1000 + n));
  for (let n = 20; n < 60; n += 2) await store.save(KEYS[n], undefined);
  for (let n = 80; n < 100; n++) await store.save(KEYS[n], value(2000 + n));
  expect(store.version).toBe(CHECKPOINTED);
  await store.checkpoint();
  await store.save("k005", "new");
  await store.save("k050", "new");
  await store.close();
  held = replayed(store.written);
  const paths = filesOf(storage, ".log").map(([path]) => path);
  kept = paths.slice(0, -1);
  expect(kept.length).toBeGreaterThan(5);
});

function fileOf(path: string): Uint8Array {
  return filesOf(storage, path)[0][1];
}

/** Where each block of the checkpoint begins, and at last where they end. */
function blocks(): number[] {
  const bytes = fileOf(CHECKPOINT);
  const starts = [108 + readU32(bytes, 96) + 4];
  for (let at = starts[0]; at < bytes.length - 40; starts.push(at)) at += 20 + readU32(bytes, at);
  return starts;
}

/** Damages the contents of blocks. */
function rotBlocks(...indexes: readonly number[]): void {
  const starts = blocks();
  for (const index of indexes) storage.disk.rot(CHECKPOINT, { bits: [8 * (starts[index] + 500)] });
}

/** Damages the record of a commit in a kept segment, and returns where that is. */
function rotCommit(version: number): { readonly path: string; readonly versions: object } {
  for (const path of kept) {
    const record = readSegment(fileOf(path)).records.find((each) => each.version === version);
    if (record === undefined) continue;
    storage.disk.rot(path, { bits: [8 * (record.to - 10)] });
    return { path, versions: { from: version, to: version } };
  }
  throw new Error(`version ${version} is in no kept segment`);
}

/** The version of the newest commit of a key up to the checkpoint. */
function versionOf(key: string): number {
  const n = KEYS.indexOf(key);
  if (n % 2 === 0 && n >= 20 && n < 60) return 130 + (n - 20) / 2 + 1;
  if (n >= 80) return 150 + n - 79;
  return n >= 10 && n < 40 ? 100 + n - 9 : n + 1;
}

async function repaired(): Promise<{ report: RepairReport; contents: Map<string, string> }> {
  const context = { dryRun: false, stopped: () => false, progress: () => undefined };
  const report = await repairDirectory({ ...context, runtime: storage.restart() }, ROOT);
  expect(report.repaired).toBe(true);
  expect(await verifyDirectory(storage.restart(), ROOT)).toMatchObject({ ok: true, findings: [] });
  const store = await MiniStore.open(storage.restart());
  const contents = store.contents();
  await store.close();
  return { report, contents };
}

const partsOf = ({ files }: RepairReport, path: string): RepairedFile | undefined =>
  files.find(({ file }) => path.endsWith(file));

describe("a checkpoint of which a block is lost", () => {
  test("gets back all that was in it from the segments that are kept for watches", async () => {
    const count = blocks().length - 1;
    expect(count).toBeGreaterThan(2);
    const bytes = fileOf(CHECKPOINT);
    const intact = storage.disk.fork();
    const logs = filesOf(storage, ".log").map(([path]) => path);
    for (let index = 0; index < count; index++) {
      storage = machine({ disk: intact.fork() });
      const inBlock = readU32(bytes, blocks()[index] + 4);
      rotBlocks(index);
      const { report, contents } = await repaired();
      expect(contents, `block ${index}`).toEqual(held);
      const { saved, foundInLog, lost } = partsOf(report, CHECKPOINT) ?? {};
      expect([saved, foundInLog], `block ${index}`).toEqual([80 - inBlock, inBlock]);
      expect(lost).toMatchObject([{ what: `block ${index} of ${inBlock} entries` }]);
      const segments = report.files.filter(({ kind }) => kind === "segment");
      expect(segments.map(({ file }) => `${ROOT}/${file}`)).toEqual(logs);
      expect(segments.every((segment) => segment.lost.length === 0)).toBe(true);
    }
  });

  test("is asked first for every key that none of its lost blocks can have held", async () => {
    rotBlocks(0);
    // Far behind that block: of this key the log knows nothing newer than its setting now.
    rotCommit(versionOf("k058"));
    const { contents } = await repaired();
    expect(contents).toEqual(held);
  });

  test("says with which commits a deletion or a newer value may be lost", async () => {
    rotBlocks(0, 1);
    const deletion = rotCommit(versionOf("k020"));
    const newer = rotCommit(versionOf("k011"));
    const { report, contents } = await repaired();
    const expected = new Map(held)
      .set("k020", contents.get("k020") ?? "")
      .set("k011", contents.get("k011") ?? "");
    expect(contents).toEqual(expected);
    expect([contents.get("k020"), contents.get("k011")]).toEqual([
      expect.stringMatching(/^1020 /),
      expect.stringMatching(/^11 /),
    ]);
    for (const { path, versions } of [deletion, newer]) {
      expect(partsOf(report, path)?.lost).toMatchObject([{ versions }]);
    }
  });

  test("takes nothing from a segment behind which another one is missing", async () => {
    rotBlocks(...blocks().slice(1).keys());
    const [oldest, missing, next] = kept;
    const bytes = fileOf(oldest).length;
    const { base } = readSegment(fileOf(next));
    await storage.restart().fileSystem.remove(missing);
    const { report, contents } = await repaired();
    const expected = [...held].filter(([key, value]) => versionOf(key) > base || value === "new");
    expect(contents).toEqual(new Map(expected));
    expect(contents.size).toBeLessThan(held.size);
    const what = expect.stringContaining("is missing");
    expect(partsOf(report, oldest)).toMatchObject({ saved: 0, lost: [{ offset: 0, bytes, what }] });
    expect(partsOf(report, missing)).toBeUndefined();
  });

  test("says of a segment without a header, behind which another one is missing, that it is left out", async () => {
    rotBlocks(0);
    const [oldest, missing] = kept;
    storage.disk.rot(oldest, { bits: [8 * 17] });
    await storage.restart().fileSystem.remove(missing);
    const { report } = await repaired();
    const what = expect.stringContaining("it is left out");
    expect(partsOf(report, oldest)).toMatchObject({ saved: 0, lost: [{ offset: 0, bytes: 0, what }] });
  });

  test("takes all from segments of which the beginning is damaged", async () => {
    rotBlocks(...blocks().slice(1).keys());
    // Somewhere in the header, in the salt of the header, in the opening.
    for (const [i, byte] of [17, 25, 68 + 45].entries()) storage.disk.rot(kept[1 + i], { bits: [8 * byte] });
    const { contents } = await repaired();
    expect(contents).toEqual(held);
  });

  test("leaves what is in no segment to be lost, and brings nothing back that was deleted", async () => {
    rotBlocks(...blocks().slice(1).keys());
    const [first, second, next] = kept;
    for (const path of [first, second]) await storage.restart().fileSystem.remove(path);
    const { base } = readSegment(fileOf(next));
    const { report, contents } = await repaired();
    const expected = [...held].filter(([key, value]) => versionOf(key) > base || value === "new");
    expect(contents).toEqual(new Map(expected));
    expect(report.files.filter(({ kind }) => kind === "segment").every(({ lost }) => lost.length === 0)).toBe(
      true,
    );
  });
});

test("a checkpoint that is missing is made up for from the segments that are kept for watches", async () => {
  await storage.restart().fileSystem.remove(CHECKPOINT);
  const { report, contents } = await repaired();
  expect(contents).toEqual(held);
  expect(partsOf(report, CHECKPOINT)?.lost).toMatchObject([{ versions: { from: 1, to: CHECKPOINTED } }]);
  for (const path of kept) expect(partsOf(report, path)?.saved).toBeGreaterThan(0);
});

test("a damaged log behind a whole checkpoint leaves the segments that are kept for watches alone", async () => {
  const live = filesOf(storage, ".log").at(-1)?.[0] ?? "";
  const { records } = readSegment(fileOf(live));
  storage.disk.rot(live, { bits: [8 * (records[records.length - 2].to - 10)] });
  rotCommit(50);
  // Nor does it matter then what stands behind one that is missing.
  await storage.restart().fileSystem.remove(kept[1]);
  const { report, contents } = await repaired();
  expect(contents).toEqual(new Map(held).set("k005", contents.get("k005") ?? ""));
  expect(contents.get("k005")).toMatch(/^5 /);
  expect(report.files.map(({ file }) => `${ROOT}/${file}`)).toEqual([CHECKPOINT, live]);
  expect(partsOf(report, CHECKPOINT)?.foundInLog).toBeUndefined();
});

test("without a manifest all segments count", async () => {
  rotBlocks(0, 1, 2);
  await storage.restart().fileSystem.remove(`${ROOT}/MANIFEST`);
  expect((await repaired()).contents).toEqual(held);
});
