import { describe, expect, test, vi } from "vitest";
import { OPENING_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, settled, systemError } from "./log-rig.js";

const LIMITS = vi.hoisted(() => ({ UNSYNCED_COMMITS_MAX: 8, GROUP_BYTES_MAX: 4096 }));
vi.mock("../../../src/base/limits.js", async (original) => ({ ...(await original<object>()), ...LIMITS }));

const RECORD_BYTES = OVERHEAD_BYTES + 10;

/** A log that could not write 12 and 13. */
async function refused(wholeBytes = 0): Promise<LogRig> {
  const rig = new LogRig();
  await rig.save(11);
  if (wholeBytes > 0) rig.file.writes.push(wholeBytes);
  rig.file.writes.push(systemError("ENOSPC"));
  rig.put(12);
  rig.put(13);
  rig.turn();
  rig.file.calls.splice(0, wholeBytes > 0 ? 2 : 1);
  return rig;
}

/** A log whose second segment had no room for its first group, but for so many bytes; it is being cut off there. */
async function refusedGroup(wholeBytes = 0) {
  const rig = new LogRig({ capacity: FIRST_AT + RECORD_BYTES });
  await rig.save(11);
  const second = rig.prepare(2);
  if (wholeBytes > 0) second.writes.push(wholeBytes);
  second.writes.push(systemError("ENOSPC"));
  rig.put(12);
  rig.turn();
  expect(rig.heard()).toEqual(["refused 11"]);
  return { rig, second };
}

/** The same, certain by now: not even the opening is there, and a third segment waits. */
async function refusedOpening() {
  const { rig, second } = await refusedGroup();
  await second.finish();
  await second.finish();
  rig.prepare(3);
  return { rig, second };
}

describe("a group that cannot be written", () => {
  test("is refused, and its traces are cut off durably before anything else is written", async () => {
    const rig = await refused();
    expect(rig.heard()).toEqual(["refused 11"]);
    expect(rig.errors).toMatchObject([{ code: "DISK_FULL", details: { path: "/log/1" } }]);
    expect(rig.log.logged).toBe(11);
    const end = FIRST_AT + RECORD_BYTES;
    expect(rig.file.calls).toEqual([`truncate ${end}`]);
    rig.put(12);
    rig.turn();
    await rig.file.finish();
    expect(rig.file.calls).toEqual([`truncate ${end}`, "sync"]);
    expect(rig.heard()).toEqual([]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refusal durable", "logged 12"]);
    expect(rig.file.calls.slice(2)).toEqual([`write ${RECORD_BYTES} at ${end}`]);
    expect(rig.segments.current.capacity).toBe(end);
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11, 12]);
    expect(rig.log.synced).toBe(11);
  });

  test.each([0, -1])("is refused when the system takes %i bytes", async (count) => {
    const rig = new LogRig();
    rig.file.writes.push(count);
    rig.put(11);
    rig.turn();
    expect(rig.heard()).toEqual(["refused 10"]);
    expect(rig.errors).toMatchObject([{ code: "IO_ERROR" }]);
  });

  test("keeps the records that were written whole, and syncs them with the cut", async () => {
    const rig = await refused(RECORD_BYTES + 3);
    expect(rig.heard()).toEqual(["refused 12", "logged 12"]);
    expect(rig.log.appendedBytes).toBe(2 * RECORD_BYTES);
    expect(rig.file.calls).toEqual([`truncate ${FIRST_AT + 2 * RECORD_BYTES}`]);
    await rig.file.finish();
    await rig.file.finish();
    // The sync of the cut covers them.
    expect(rig.file.calls.slice(1)).toEqual(["sync"]);
    expect(rig.heard()).toEqual(["refusal durable", "synced 12"]);
    rig.put(13);
    rig.turn();
    const [, second, third] = rig.records(rig.file, FIRST_AT);
    expect([second.version, third.version]).toEqual([12, 13]);
    await settled();
    expect(rig.file.waiting).toBe(0);
  });

  test("is not told to a listener before it may write again, whatever that writes", async () => {
    const rig = new LogRig();
    rig.file.writes.push(RECORD_BYTES, systemError("EIO"));
    rig.put(11);
    rig.put(12);
    rig.onEvent = (event) => {
      if (event === "logged 11") rig.put(12);
    };
    rig.turn();
    expect(rig.heard()).toEqual(["refused 11", "logged 11"]);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refusal durable", "logged 12"]);
  });

  test("is waited for by nobody any more: what follows is synced when that is asked for", async () => {
    const rig = new LogRig();
    await rig.save(11);
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refused 11", "refusal durable", "logged 12"]);
    expect(rig.file.waiting).toBe(0);
  });

  test("during a sync is cut off after it", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(12);
    rig.log.want("logged");
    rig.turn();
    expect(rig.heard()).toEqual(["logged 11", "refused 11"]);
    expect(rig.file.waiting).toBe(1);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 11"]);
    expect(rig.file.calls.at(-1)).toBe(`truncate ${FIRST_AT + RECORD_BYTES}`);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["refusal durable"]);
  });

  test("whose traces cannot be cut off, or not durably, ends writing", async () => {
    for (const step of [0, 1]) {
      const rig = await refused();
      if (step === 1) await rig.file.finish();
      await rig.file.finish(systemError("EIO"));
      expect(rig.heard()).toEqual(["refused 11", "failed"]);
      expect(rig.errors[1]).toMatchObject({ code: "DURABILITY_UNKNOWN", details: { path: "/log/1" } });
      expect(() => rig.put(12)).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
      expect(rig.file.waiting).toBe(0);
      await rig.log.close();
    }
  });

  test("lets the interval pass without a write", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.turn();
    rig.file.writes.push(systemError("EIO"));
    rig.put(12);
    rig.turn();
    rig.put(12);
    rig.file.calls.length = 0;
    rig.timers[0].task();
    expect(rig.file.calls).toEqual([]);
    expect(rig.file.waiting).toBe(1);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "refused 11", "refusal durable", "logged 12"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 12"]);
  });

  test("is followed by no more than one group that waits: what gathers meanwhile is refused too", async () => {
    for (const fill of ["bytes", "commits"]) {
      const rig = await refused();
      rig.heard();
      if (fill === "bytes") rig.put(12, LIMITS.GROUP_BYTES_MAX - OVERHEAD_BYTES);
      else for (let version = 12; version < 12 + LIMITS.UNSYNCED_COMMITS_MAX; version++) rig.put(version);
      rig.turn();
      expect(rig.heard()).toEqual(["refused 11"]);
      rig.put(12, LIMITS.GROUP_BYTES_MAX - OVERHEAD_BYTES - 1);
      rig.turn();
      expect(rig.heard()).toEqual([]);
      for (let i = 0; i < 2; i++) await rig.file.finish();
      expect(rig.heard()).toEqual(["refusal durable", "logged 12"]);
    }
  });

  test("waits while few commits gather", async () => {
    const rig = await refused();
    rig.heard();
    for (let version = 12; version < 11 + LIMITS.UNSYNCED_COMMITS_MAX; version++) rig.put(version);
    rig.turn();
    expect(rig.heard()).toEqual([]);
  });

  test("waits although too many commits gather, and syncs nothing in line", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.turn();
    rig.file.writes.push(systemError("EIO"));
    rig.put(12);
    rig.turn();
    for (let version = 12; version < 11 + LIMITS.UNSYNCED_COMMITS_MAX; version++) rig.put(version);
    expect(rig.file.calls.at(-1)).toBe(`truncate ${FIRST_AT + RECORD_BYTES}`);
    rig.heard();
    rig.turn();
    expect(rig.heard()).toEqual(["refused 11"]);
  });

  test("is followed by nothing in another segment before it is certain", async () => {
    const rig = new LogRig({ capacity: FIRST_AT + RECORD_BYTES });
    await rig.save(11);
    rig.file.writes.push(systemError("EIO"));
    rig.put(12);
    rig.turn();
    rig.prepare(2);
    rig.put(12);
    expect(rig.segments.count).toBe(1);
    await rig.file.finish();
    await rig.file.finish();
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("of a new segment leaves its opening to be written with the next group", async () => {
    const { rig, second } = await refusedGroup();
    expect(rig.segments.count).toBe(2);
    // Nothing goes over to another segment while the refusal is not certain.
    rig.prepare(3);
    rig.put(12, 2000);
    expect(rig.segments.count).toBe(2);
    expect(second.calls.at(-1)).toBe(`truncate ${SEGMENT_HEADER_BYTES}`);
    await second.finish();
    await second.finish();
    expect(rig.heard()).toEqual(["refusal durable", "logged 12"]);
    const records = rig.records(second, SEGMENT_HEADER_BYTES, 2);
    expect(records.map(({ version }) => version)).toEqual([11, 12]);
    const payload = new DataView(second.bytes.buffer, SEGMENT_HEADER_BYTES + 40);
    expect(payload.getBigUint64(0, true)).toBe(1n);
    expect(payload.getBigUint64(8, true)).toBe(BigInt(FIRST_AT + RECORD_BYTES));
    // The segment is full from where the refused group was: what follows goes into the next one.
    rig.put(13);
    expect(rig.segments.count).toBe(3);
  });

  test("of a new segment, after which nothing came, has its opening written before another segment", async () => {
    const { rig, second } = await refusedOpening();
    rig.put(12);
    expect(rig.segments.count).toBe(2);
    rig.turn();
    expect(rig.records(second, SEGMENT_HEADER_BYTES, 2).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("of a new segment has its opening written though the next record is longer than a segment", async () => {
    const { rig, second } = await refusedOpening();
    rig.put(12, FIRST_AT + 2 * RECORD_BYTES);
    rig.turn();
    expect(rig.segments.count).toBe(2);
    expect(rig.records(second, SEGMENT_HEADER_BYTES, 2).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("of a new segment, whose opening was written whole, ends the log durably behind that", async () => {
    const { rig, second } = await refusedGroup(OPENING_BYTES + 5);
    expect(rig.log.syncedEnd.segment).toBe(1);
    await second.finish();
    await second.finish();
    expect(rig.log.syncedEnd).toMatchObject({
      segment: 2,
      position: SEGMENT_HEADER_BYTES + OPENING_BYTES,
      version: 11,
    });
    expect(rig.segments.current.syncedPosition).toBe(SEGMENT_HEADER_BYTES + OPENING_BYTES);
    rig.put(12);
    rig.turn();
    expect(rig.records(second, SEGMENT_HEADER_BYTES, 2).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("with older commits that are not synced leaves what is synced where it was", async () => {
    const rig = new LogRig({ capacity: FIRST_AT + RECORD_BYTES });
    rig.put(11);
    rig.turn();
    const second = rig.prepare(2);
    second.writes.push(OPENING_BYTES, systemError("ENOSPC"));
    rig.put(12);
    rig.turn();
    await second.finish();
    await second.finish();
    expect(rig.heard()).toEqual(["logged 11", "refused 11", "refusal durable"]);
    expect(rig.log.syncedEnd).toMatchObject({ segment: 1, version: 10 });
    await rig.file.finish();
    expect(rig.log.syncedEnd).toMatchObject({ segment: 2, version: 11 });
  });
});
