import { expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { type Layout, layoutOf } from "../../../src/durability/layout.js";
import { type Manifest, NO_CHECKPOINT } from "../../../src/durability/manifest.js";
import {
  listOrphanCheckpoints,
  listOrphans,
  listUnnamed,
  removeAll,
} from "../../../src/durability/orphans.js";
import { machine } from "../harness.js";

const MANIFEST = { firstSegment: 5, checkpoint: { ...NO_CHECKPOINT, number: 3 } } as Manifest;

const isKept = (number: number): boolean => number === 2 || number === 3;

const NEEDED = [
  "MANIFEST",
  "REPAIRING",
  "log/000000000003.log",
  "log/000000000005.log",
  "log/000000000006.log",
  "log/letter.txt",
  "log/letter.tmp",
  "checkpoint/000000000003",
  "checkpoint/letter.tmp",
];
const CHECKPOINTS = ["000000000002", "000000000003.tmp", "000000000004"].map((name) => `checkpoint/${name}`);
const ORPHANS = [
  ...CHECKPOINTS,
  "log/000000000004.log",
  "log/000000000007.log.tmp",
  "MANIFEST.tmp",
  "RESTORING",
  "RESTORING.tmp",
  "REPAIRING.tmp",
];

async function directory(files: readonly string[]): Promise<{ runtime: Runtime; layout: Layout }> {
  const { runtime } = machine();
  const layout = layoutOf(runtime.fileSystem, "/data");
  for (const path of [layout.root, layout.log, layout.checkpoints])
    await runtime.fileSystem.makeDirectory(path);
  for (const name of files) await (await runtime.fileSystem.open(`/data/${name}`, "create")).close();
  return { runtime, layout };
}

const inData = (names: readonly string[]): string[] => names.map((name) => `/data/${name}`).sort();

test("orphans are what is unfinished, older or another checkpoint; not what is needed, and no stranger", async () => {
  const { runtime, layout } = await directory([...NEEDED, ...ORPHANS]);
  expect((await listOrphans(runtime, layout, MANIFEST, isKept)).sort()).toEqual(inData(ORPHANS));
  expect((await listOrphanCheckpoints(runtime, layout, 3)).sort()).toEqual(inData(CHECKPOINTS));
});

test("of these no manifest names what is unfinished, and newer checkpoints", async () => {
  const { runtime, layout } = await directory([...NEEDED, ...ORPHANS]);
  const unnamed = ["log/000000000007.log.tmp", "checkpoint/000000000003.tmp", "checkpoint/000000000004"];
  expect((await listUnnamed(runtime, layout, 3)).sort()).toEqual(inData(unnamed));
});

test("a directory without any has none", async () => {
  const { runtime, layout } = await directory(NEEDED);
  expect(await listOrphans(runtime, layout, MANIFEST, isKept)).toEqual([]);
  expect(await listOrphanCheckpoints(runtime, layout, 3)).toEqual([]);
});

test("all are removed, and only they", async () => {
  const { runtime, layout } = await directory([...NEEDED, ...ORPHANS]);
  await removeAll(runtime, inData(ORPHANS));
  expect(await listOrphans(runtime, layout, MANIFEST, isKept)).toEqual([]);
  for (const path of inData(NEEDED)) expect(await runtime.fileSystem.status(path)).toBeDefined();
});
