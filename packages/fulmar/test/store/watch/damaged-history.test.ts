import { expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { RECORD_HEAD_BYTES } from "../../../src/durability/segment-format.js";
import { repair, type VerifyReport, verify } from "../../../src/index.js";
import type { SimulatedStorage } from "../../../src/testing/index.js";
import { edit } from "../../durability/harness.js";
import { readSegment } from "../../durability/log-records.js";
import { errorOf, machine, openOn, take } from "./support.js";

const CHECKPOINT = "/data/checkpoint/000000000001";

/** A store whose first segments are kept for watches alone. */
async function withHistory(): Promise<{ storage: SimulatedStorage; segments: string[] }> {
  const storage = machine();
  const db = await openOn(storage);
  for (let n = 1; n <= 60; n++) await db.set(n % 7, "x".repeat(3000) + n);
  const segments = (await storage.runtime.fileSystem.list("/data/log")).slice(0, -1);
  await db.checkpoint();
  await db.close();
  return { storage, segments: segments.map((name) => `/data/log/${name}`) };
}

function look(storage: SimulatedStorage): Promise<VerifyReport> {
  return verify("/data", { runtime: storage.restart() });
}

test("each damaged segment of the history is found, and said to matter to watches alone", async () => {
  const { storage, segments } = await withHistory();
  expect(segments.length).toBeGreaterThan(2);
  expect(await look(storage)).toMatchObject({ ok: true, findings: [] });
  const [first, second] = segments;
  for (const path of [first, second]) storage.disk.rot(path, { bits: [8 * 5000] });
  const report = await look(storage);
  expect(report).toMatchObject({
    ok: true,
    findings: [
      { severity: "history", file: first },
      { severity: "history", file: second },
    ],
  });
  for (const { offset } of report.findings) expect(offset).toBeLessThanOrEqual(5000);
  const [, { message }] = report.findings;
  expect(message).toContain("watches alone");
  const since = Number(/before version (\d+)/.exec(message)?.[1]);

  // What the watch, the repair and the next open say and do fits together.
  const db = await openOn(storage);
  const error = await errorOf(db.watch({}, { since: 0 }).next());
  expect(error).toMatchObject({ code: "CORRUPT", details: { file: first } });
  expect((error as Error).message).toContain("fulmar check");
  expect((error as Error).message).not.toContain("restore a backup");
  const whole = db.watch({}, { since });
  expect(await take(whole, 60 - since)).toHaveLength(60 - since);
  await db.close();
  const repaired = await repair("/data", { runtime: storage.restart() });
  expect(repaired).toMatchObject({ damaged: false, repaired: false });
  const letGo = await openOn(storage, { historyBytes: 0 });
  await letGo.close();
  expect(await look(storage)).toMatchObject({ ok: true, findings: [] });
});

test("what is kept for watches is not left over where the checkpoint is damaged, and a repair needs it", async () => {
  const { storage, segments } = await withHistory();
  storage.disk.rot(CHECKPOINT, { bits: [8 * 5000] });
  expect(await look(storage)).toMatchObject({
    ok: false,
    findings: [{ severity: "problem", file: CHECKPOINT }],
  });
  storage.disk.rot(segments[1], { bits: [8 * 5000] });
  const { findings } = await look(storage);
  expect(findings).toMatchObject([{ severity: "problem" }, { severity: "history", file: segments[1] }]);
  expect(findings[1].message).toContain("a repair takes from it");
  expect(findings[1].message).not.toContain("a repair changes nothing");
});

test("a history that the log does not continue is found, as by a watch that comes to where they meet", async () => {
  const { storage, segments } = await withHistory();
  const path = segments[segments.length - 1];
  const log = (await storage.runtime.fileSystem.list("/data/log")).map((name) => `/data/log/${name}`);
  const first = log[log.length - 1];
  // Another value in the last commit, and the checksum that it has then.
  await edit(storage, path, (bytes) => {
    const { from, to } = readSegment(bytes).records.at(-1) ?? { from: 0, to: 0 };
    bytes[to - 20] ^= 1;
    const payloadAt = from + RECORD_HEAD_BYTES;
    const end = payloadAt + readU32(bytes, from);
    writeU32(bytes, end, crc32(bytes, payloadAt, end, readU32(bytes, payloadAt - 4)));
    return bytes;
  });
  const { ok, findings } = await look(storage);
  expect({ ok, findings }).toMatchObject({
    ok: true,
    findings: [{ severity: "history", file: first, offset: 0 }],
  });
  const db = await openOn(storage);
  expect(findings[0].message).toContain(`before version ${db.version}`);
  await db.set(0, "behind it");
  const error = await errorOf(take(db.watch({}, { since: 0 }), 61));
  expect(error).toMatchObject({ code: "CORRUPT", details: { file: first } });
  await db.close();
});

/** Notes on files that no open needs where the store does not open: of which a repair takes something, and what. */
async function takenNotes(storage: SimulatedStorage): Promise<[file: string, message: string][]> {
  const { ok, findings } = await look(storage);
  expect(ok).toBe(false);
  const { files } = await repair("/data", { runtime: storage.restart() });
  const taken = new Set(files.filter(({ saved }) => saved > 0).map(({ file }) => `/data/${file}`));
  return findings
    .filter(({ severity, file }) => severity === "note" && taken.has(file))
    .map(({ file, message }) => [file, message]);
}

const MAY_TAKE = "no open needs it, but a repair may take from it";

test("what is kept behind a damaged opening is not called left over where a repair takes from it", async () => {
  const { storage, segments } = await withHistory();
  const [first, second] = segments;
  storage.disk.rot(CHECKPOINT, { bits: [8 * 5000] });
  const whole = storage.disk.fork();
  // In its header and in its opening.
  for (const byte of [20, 100]) {
    const now = machine(2, whole.fork());
    now.disk.rot(second, { bits: [8 * byte] });
    expect(await takenNotes(now)).toEqual([
      [first, MAY_TAKE],
      [second, MAY_TAKE],
    ]);
  }
});

test("an older checkpoint is not called left over where a repair takes it for the one that is missing", async () => {
  const { storage } = await withHistory();
  const older = storage.disk.image().get(CHECKPOINT) ?? new Uint8Array();
  const db = await openOn(storage);
  await db.checkpoint();
  await db.close();
  const { fileSystem } = storage.restart();
  await fileSystem.remove("/data/checkpoint/000000000002");
  const file = await fileSystem.open(CHECKPOINT, "create");
  await file.write(older, 0);
  await file.close();
  expect(await takenNotes(storage)).toEqual([[CHECKPOINT, MAY_TAKE]]);
});

test("nothing before a first segment that does not tell what it continues is said to be left over", async () => {
  const { storage } = await withHistory();
  const log = (await storage.runtime.fileSystem.list("/data/log")).map((name) => `/data/log/${name}`);
  const first = log[log.length - 1];
  const whole = storage.disk.fork();
  // Its header, its opening, and the file.
  const damages = [
    (now: SimulatedStorage) => now.disk.rot(first, { bits: [8 * 20] }),
    (now: SimulatedStorage) => now.disk.rot(first, { bits: [8 * 100] }),
    (now: SimulatedStorage) => now.restart().fileSystem.remove(first),
  ];
  for (const damage of damages) {
    const now = machine(2, whole.fork());
    await damage(now);
    await (await now.restart().fileSystem.open("/data/checkpoint/000000000009.tmp", "create")).close();
    const { ok, findings } = await look(now);
    expect(ok).toBe(false);
    expect(
      findings.map(({ severity, message }) => [severity, message.replace(/^left over.*/, "left over")]),
    ).toEqual([
      ["problem", expect.any(String)],
      ["note", "left over"],
    ]);
    expect(findings[1].message).not.toContain("next open");
  }
});
