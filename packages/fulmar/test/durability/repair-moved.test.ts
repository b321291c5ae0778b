import { describe, expect, test } from "vitest";
import { nodeChecksum } from "../../src/base/runtime/node/checksum.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import { encodeSlot, type Manifest, SLOT_BYTES } from "../../src/durability/manifest.js";
import { open, repair } from "../../src/index.js";
import { type SimulatedStorage, simulatedStorage } from "../../src/testing/simulated/index.js";
import { edit, filesOf } from "./harness.js";
import { manifestIn } from "./unit/manifests.js";

const MARK = "/data/REPAIRING";
/** Where the first of the old files goes. */
const FIRST_MOVED = "/data/damaged-1/log/";

/** A store with one damaged commit, whose repair was interrupted at the first file that goes to `to`. */
async function interrupted(to = "/data/checkpoint/"): Promise<SimulatedStorage> {
  const storage = simulatedStorage({ cryptography: nodeCryptography, sectorBytes: 512, seed: 12 });
  const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
  for (let n = 0; n < 4; n++) await db.set(`a${n}`, `early ${n}`);
  await db.checkpoint();
  for (let n = 0; n < 4; n++) await db.set(`b${n}`, `late ${n}`);
  await db.close();
  await edit(storage, filesOf(storage, ".log")[0][0], (bytes) => {
    bytes[Buffer.from(bytes).indexOf("late 1")] ^= 1;
    return bytes;
  });
  const remove = storage.disk.faults.add({ operations: ["rename"], path: to, code: "EIO" });
  await expect(repair("/data", { runtime: storage.restart() })).rejects.toMatchObject({ code: "IO_ERROR" });
  remove();
  expect(filesOf(storage, "/data/damaged-1/log/")).toHaveLength(to === FIRST_MOVED ? 0 : 1);
  await expect(open("/data", { runtime: storage.restart() })).rejects.toMatchObject({
    code: "CORRUPT",
    details: { file: MARK },
  });
  return storage;
}

/** The same files, but for the lock, in another directory. */
async function moved(storage: SimulatedStorage, to: string): Promise<void> {
  const { fileSystem } = storage.restart();
  for (const [path, bytes] of filesOf(storage, "/data/")) {
    if (path.includes("LOCK")) continue;
    const target = `${to}${path.slice("/data".length)}`;
    await fileSystem.makeDirectory(fileSystem.parent(target));
    const handle = await fileSystem.open(target, "create");
    await handle.write(bytes, 0);
    await handle.close();
    await fileSystem.remove(path);
  }
  await fileSystem.makeDirectory(`${to}/damaged-1/checkpoint`);
}

const REPORT = "/data/damaged-1/REPORT.json";

async function copied(storage: SimulatedStorage, from: string, to: string): Promise<void> {
  const { fileSystem } = storage.restart();
  const [[, bytes]] = filesOf(storage, from);
  await fileSystem.makeDirectory(fileSystem.parent(to));
  if ((await fileSystem.status(to)) !== undefined) await fileSystem.remove(to);
  const handle = await fileSystem.open(to, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

/** Everything is done but that the mark is removed, and a file of the damaged store is back. */
async function ended(storage: SimulatedStorage): Promise<void> {
  await repair("/data", { runtime: storage.restart() });
  const segment = "/log/000000000001.log";
  await copied(storage, `/data/damaged-1${segment}`, `/data${segment}`);
  await copied(storage, REPORT, MARK);
}

/** Somebody made a mark beside a store that was repaired, and killed behind the opening that renewed its manifest. */
async function opened(storage: SimulatedStorage): Promise<void> {
  await repair("/data", { runtime: storage.restart() });
  await open<string>("/data", { runtime: storage.restart(), codec: "text" });
  storage.kill();
  await copied(storage, "/data/MANIFEST", "/data/MANIFEST.tmp");
  await copied(storage, REPORT, MARK);
}

/** The manifest that the repair wrote says something else. */
function restated(
  storage: SimulatedStorage,
  change: (manifest: Manifest) => Partial<Manifest>,
): Promise<void> {
  return edit(storage, "/data/MANIFEST.tmp", (bytes) => {
    const { manifest, generation } = manifestIn(bytes);
    const slot = encodeSlot(nodeChecksum, { ...manifest, ...change(manifest) }, generation + 1);
    bytes.set(slot);
    bytes.set(slot, SLOT_BYTES);
    return bytes;
  });
}

/** The store as it was left, without what was damaged, is in the directory. */
async function expectRepaired(storage: SimulatedStorage): Promise<void> {
  const db = await open<string>("/data", { runtime: storage.restart(), codec: "text" });
  expect([...db.keys()]).toEqual(["a0", "a1", "a2", "a3", "b0", "b2", "b3"]);
  await db.close();
}

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  expect(text).toContain(from);
  return new TextEncoder().encode(text.replace(from, to));
}

/** The report as if another repair had written it. */
const otherRepair = (bytes: Uint8Array): Uint8Array => replaced(bytes, '"incarnation":"', '"incarnation":"0');

describe("a repair that was interrupted", () => {
  test("is completed where the directory is now", async () => {
    const storage = await interrupted();
    await moved(storage, "/elsewhere/data");
    const report = await repair("/elsewhere/data", { runtime: storage.restart() });
    const keptIn = "/elsewhere/data/damaged-1";
    expect(report).toMatchObject({ repaired: true, directory: "/elsewhere/data", keptIn, entries: 7 });
    const kept = filesOf(storage, `${keptIn}/`).map(([path]) => path.slice(keptIn.length + 1));
    expect(kept).toEqual(["MANIFEST", "REPORT.json", "checkpoint/000000000001", "log/000000000001.log"]);
    const db = await open<string>("/elsewhere/data", { runtime: storage.restart(), codec: "text" });
    expect([...db.keys()]).toEqual(["a0", "a1", "a2", "a3", "b0", "b2", "b3"]);
    await db.close();
    expect(filesOf(storage, "/data/").filter(([path]) => path.startsWith("/data/damaged"))).toEqual([]);
  });

  test("is left as it is by one that only tells", async () => {
    const storage = await interrupted();
    const before = filesOf(storage, "/data/").filter(([path]) => !path.includes("LOCK"));
    const told = await repair("/data", { runtime: storage.restart(), dryRun: true });
    expect(filesOf(storage, "/data/").filter(([path]) => !path.includes("LOCK"))).toEqual(before);
    expect(told).toMatchObject({ repaired: false, damaged: true, entries: 7, keptIn: "/data/damaged-1" });
    const report = await repair("/data", { runtime: storage.restart() });
    expect(report).toEqual({ ...told, repaired: true });
  });

  test.each([
    "",
    "null",
    "7",
    "{}",
    '{"keptIn":"damaged-1"}',
    '{"keptIn":"damaged-1","number":"2"}',
    '{"keptIn":"damaged-1","number":1.5}',
    '{"keptIn":"../data","number":2}',
    '{"keptIn":"/etc","number":2}',
    '{"keptIn":["damaged-1"],"number":2}',
    '{"keptIn":"damaged-1","number":3}',
    '{"keptIn":"damaged-3","number":2}',
    '{"keptIn":"damaged-1","number":1}',
  ])("is completed by what it left where its mark is damaged: %s", async (text) => {
    for (const to of ["/data/checkpoint/", FIRST_MOVED]) {
      const storage = await interrupted(to);
      const told = await repair("/data", { runtime: storage.restart(), dryRun: true });
      await edit(storage, MARK, () => new TextEncoder().encode(text));
      const report = await repair("/data", { runtime: storage.restart() });
      expect(report).toEqual({ ...told, repaired: true });
      await expectRepaired(storage);
    }
  });

  test.each<[what: string, keptIn: string, spoil: (storage: SimulatedStorage) => Promise<void>]>([
    ["out of the directory", "../elsewhere", () => Promise.resolve()],
    ["to another one in it", "elsewhere", () => Promise.resolve()],
    [
      "to the report of another repair",
      "damaged-2",
      (storage) => edit(storage, "/data/damaged-2/REPORT.json", otherRepair),
    ],
  ])("is completed by what it left where its mark leads %s", async (_, keptIn, spoil) => {
    const storage = await interrupted();
    const to = storage.runtime.fileSystem.join("/data", keptIn);
    await copied(storage, REPORT, `${to}/REPORT.json`);
    await spoil(storage);
    await edit(storage, MARK, () => new TextEncoder().encode(JSON.stringify({ keptIn, number: 2 })));
    const report = await repair("/data", { runtime: storage.restart() });
    expect(report).toMatchObject({ repaired: true, keptIn: "/data/damaged-1" });
    expect(filesOf(storage, `${to}/`).map(([path]) => path)).toEqual([`${to}/REPORT.json`]);
    await expectRepaired(storage);
  });

  test("is completed where its mark is damaged, and a file of somebody else lies beside the new ones", async () => {
    const storage = await interrupted();
    await repair("/data", { runtime: storage.restart() });
    await copied(storage, REPORT, MARK);
    await copied(storage, REPORT, "/data/log/notes");
    const report = await repair("/data", { runtime: storage.restart() });
    expect(report).toMatchObject({ repaired: true, keptIn: "/data/damaged-1" });
    await expectRepaired(storage);
  });

  test.each([MARK, REPORT, "/data/MANIFEST.tmp"])(
    "is left as it is while %s cannot be read, and completed then",
    async (path) => {
      const storage = await interrupted();
      const remove = storage.disk.faults.add({ operations: ["read"], path, code: "EIO" });
      const before = filesOf(storage, "/data/").map(([name]) => name);
      const refused = repair("/data", { runtime: storage.restart() });
      await expect(refused).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(filesOf(storage, "/data/").map(([name]) => name)).toEqual(before);
      remove();
      await repair("/data", { runtime: storage.restart() });
      await expectRepaired(storage);
    },
  );

  test.each<[why: string, spoil: (storage: SimulatedStorage) => Promise<void>]>([
    ["two reports fit", (storage) => copied(storage, REPORT, "/data/damaged-2/REPORT.json")],
    ["a report is missing", (storage) => storage.restart().fileSystem.makeDirectory("/data/damaged-2")],
    ["a report is no JSON", (storage) => edit(storage, REPORT, (bytes) => bytes.subarray(1))],
    [
      "no report fits",
      (storage) => edit(storage, REPORT, (bytes) => replaced(bytes, '"version":8', '"version":7')),
    ],
    ["the report is that of another repair", (storage) => edit(storage, REPORT, otherRepair)],
    [
      "the new manifest names another checkpoint",
      (storage) =>
        restated(storage, ({ checkpoint }) => ({
          checkpoint: { ...checkpoint, number: checkpoint.number - 1 },
        })),
    ],
    [
      "the new manifest says that the log ends elsewhere",
      (storage) =>
        restated(storage, ({ synced }) => ({ synced: { ...synced, segment: synced.segment + 1 } })),
    ],
    ["the new manifest is gone", (storage) => storage.restart().fileSystem.remove("/data/MANIFEST.tmp")],
    [
      "the new manifest is damaged",
      (storage) => edit(storage, "/data/MANIFEST.tmp", (bytes) => bytes.fill(0)),
    ],
    ["the manifest is of a store that was opened", opened],
    ["an old file is in its place again", ended],
  ])("touches nothing where its mark is damaged, and %s", async (_, spoil) => {
    const storage = await interrupted();
    await spoil(storage);
    await edit(storage, MARK, () => new Uint8Array(3));
    const before = filesOf(storage, "/data/");
    const refused = repair("/data", { runtime: storage.restart() });
    await expect(refused).rejects.toMatchObject({ code: "CORRUPT", details: { file: MARK } });
    expect(filesOf(storage, "/data/").map(([path]) => path)).toEqual(before.map(([path]) => path));
  });
});
