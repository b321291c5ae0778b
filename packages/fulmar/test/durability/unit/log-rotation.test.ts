import { describe, expect, test } from "vitest";
import { OPENING_BYTES, SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, settled, systemError } from "./log-rig.js";

const RECORD_BYTES = OVERHEAD_BYTES + 10;

describe("the next segment", () => {
  test("is prepared when the present one is half full", () => {
    const rig = new LogRig({ segmentBytes: 2 * (FIRST_AT + 2 * RECORD_BYTES) });
    rig.put(11);
    rig.turn();
    expect(rig.prepares).toBe(0);
    rig.put(12);
    rig.turn();
    expect(rig.prepares).toBe(1);
  });

  const full = FIRST_AT + 2 * RECORD_BYTES;

  test("takes the record that does not fit, behind an opening that names where the log was", async () => {
    const rig = new LogRig({ capacity: full });
    await rig.save(11);
    rig.put(12);
    rig.turn();
    const second = rig.prepare(2);
    rig.put(13);
    expect(rig.segments.count).toBe(2);
    expect(rig.segments.current).toMatchObject({ number: 2, base: 12 });
    rig.turn();
    expect(second.calls).toEqual([`write ${OPENING_BYTES + RECORD_BYTES} at ${SEGMENT_HEADER_BYTES}`]);
    const [opening, commit] = rig.records(second, SEGMENT_HEADER_BYTES, 2);
    expect(opening).toMatchObject({ version: 12, synced: 11 });
    expect(commit).toMatchObject({ version: 13, synced: 11 });
    const payload = new DataView(second.bytes.buffer, SEGMENT_HEADER_BYTES + 40);
    expect([payload.getBigUint64(0, true), payload.getBigUint64(8, true)]).toEqual([1n, BigInt(full)]);
    expect(rig.log.appendedBytes).toBe(3 * RECORD_BYTES + OPENING_BYTES);
  });

  test("takes no record that still fits", () => {
    const rig = new LogRig({ capacity: full });
    rig.put(11);
    rig.turn();
    rig.prepare(2);
    rig.put(12);
    expect(rig.segments.count).toBe(1);
    // Full to the last byte: nothing more could be added to this group.
    expect(rig.log.logged).toBe(12);
  });

  test("takes whole groups: one that has begun is written where it began", () => {
    const rig = new LogRig({ capacity: full });
    rig.prepare(2);
    rig.put(11);
    expect(rig.log.logged).toBe(10);
    rig.put(12, 500);
    expect([rig.log.logged, rig.segments.count]).toEqual([12, 1]);
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11, 12]);
  });

  test("is not waited for: without it the present one grows", () => {
    const rig = new LogRig({ capacity: full });
    for (const version of [11, 12, 13]) rig.put(version);
    expect(rig.log.logged).toBe(10);
    rig.turn();
    rig.put(14);
    rig.turn();
    expect(rig.file.calls.at(-1)).toBe(`write ${RECORD_BYTES} at ${FIRST_AT + 3 * RECORD_BYTES}`);
    expect(rig.segments.count).toBe(1);
  });

  test("is begun at the size of a segment, not where the zeros of the present one end", () => {
    const rig = new LogRig({ capacity: FIRST_AT, segmentBytes: full });
    rig.prepare(2);
    rig.put(11);
    rig.turn();
    rig.put(12);
    rig.turn();
    expect(rig.segments.count).toBe(1);
    rig.put(13);
    expect(rig.segments.count).toBe(2);
  });

  test("begun and full is followed by another one, not begun and too small by none", () => {
    const rig = new LogRig({ capacity: full, segmentBytes: full - 1 });
    rig.put(11);
    rig.put(12);
    rig.turn();
    rig.prepare(2, SEGMENT_HEADER_BYTES + 20);
    rig.put(13);
    rig.prepare(3);
    expect(rig.segments.current.number).toBe(2);
    rig.turn();
    rig.put(14);
    expect(rig.segments.current.number).toBe(3);
  });

  test("old segments are synced before it, and closed when they are", async () => {
    const rig = new LogRig({ capacity: full });
    rig.put(11);
    rig.put(12);
    rig.turn();
    const second = rig.prepare(2);
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    expect([rig.file.waiting, second.waiting]).toEqual([1, 0]);
    await rig.file.finish();
    expect(second.waiting).toBe(1);
    expect(rig.heard()).toEqual(["logged 12", "logged 13"]);
    await second.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
    expect([rig.file.closes, second.closes]).toEqual([1, 0]);
    expect(rig.log.syncedEnd).toMatchObject({ segment: 2, version: 13 });
  });
});

describe("a segment that is begun for a checkpoint", () => {
  const least = FIRST_AT + RECORD_BYTES;

  /** Has whoever waits for the next segment wait until what this returns is called. */
  function holdPreparing(rig: LogRig): () => void {
    let end = (): void => undefined;
    rig.preparing = new Promise((resolve) => {
      end = resolve;
    });
    return end;
  }

  test("starts with its opening, on stable storage before anybody is told", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    const second = rig.prepare(2);
    let begun = false;
    const work = rig.log.startSegment().then(() => {
      begun = true;
    });
    await settled();
    expect(second.calls).toEqual([`write ${OPENING_BYTES} at ${SEGMENT_HEADER_BYTES}`, "sync"]);
    expect([begun, rig.log.syncedEnd.segment]).toEqual([false, 1]);
    await second.finish();
    await work;
    expect(rig.log.syncedEnd).toMatchObject({ segment: 2, version: 11 });
    expect(rig.log.syncedEnd.position).toBe(SEGMENT_HEADER_BYTES + OPENING_BYTES);
    expect(rig.segments.firstFor(11)).toBe(2);
    expect(rig.heard()).toEqual([]);
    rig.put(12);
    rig.turn();
    const [opening, commit] = rig.records(second, SEGMENT_HEADER_BYTES, 2);
    expect([opening.version, commit.version]).toEqual([11, 12]);
  });

  test("is there beside writers of which one always waits for a sync", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    const second = rig.prepare(2);
    const work = rig.log.startSegment();
    await settled();
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    await second.finish();
    // The next sync is under way, and another would follow it.
    expect(second.waiting).toBe(1);
    await work;
    expect(rig.log.syncedEnd).toMatchObject({ segment: 2, version: 11 });
    await second.finish();
    expect(rig.log.synced).toBe(12);
  });

  test("stands behind what was appended and is not written yet", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    rig.put(12);
    const second = rig.prepare(2);
    const work = rig.log.startSegment();
    await settled();
    expect(rig.heard()).toEqual(["logged 12"]);
    await rig.file.finish();
    await second.finish();
    await work;
    expect(rig.heard()).toEqual(["synced 12"]);
    expect(rig.records(second, SEGMENT_HEADER_BYTES, 2)).toMatchObject([{ version: 12, synced: 11 }]);
  });

  test("is not begun while the present one holds little", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least + 16 });
    await rig.save(11);
    rig.prepare(2);
    await rig.log.startSegment();
    expect([rig.segments.count, rig.prepares]).toEqual([1, 0]);
  });

  test("is waited for until it is prepared, and done without when it cannot be", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    const prepared = holdPreparing(rig);
    const work = rig.log.startSegment();
    await settled();
    expect([rig.prepares, rig.segments.count]).toEqual([1, 1]);
    rig.put(12);
    prepared();
    await work;
    expect(rig.segments.count).toBe(1);
    // Nobody asked for a sync of what was written meanwhile.
    expect(rig.file.calls).toEqual([`write ${RECORD_BYTES} at ${least}`]);
  });

  test("is not begun when the log has failed, or refused something, until it is prepared", async () => {
    for (const failure of ["failed", "refused 11"]) {
      const rig = new LogRig({ segmentBytes: 16 * least });
      await rig.save(11);
      const prepared = holdPreparing(rig);
      const work = rig.log.startSegment();
      if (failure !== "failed") rig.file.writes.push(systemError("ENOSPC"));
      rig.put(12);
      rig.log.want("synced");
      rig.turn();
      if (failure === "failed") await rig.file.finish(systemError("EIO"));
      expect(rig.heard()).toContain(failure);
      rig.prepare(2);
      prepared();
      await work;
      expect(rig.segments.count, failure).toBe(1);
    }
  });

  test("is not begun once the log is closed", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    rig.prepare(2);
    await rig.log.close();
    await rig.log.startSegment();
    expect(rig.segments.count).toBe(1);
  });

  test("whose opening is refused is opened anew by the next commit", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    const second = rig.prepare(2);
    second.writes.push(systemError("ENOSPC"));
    const work = rig.log.startSegment();
    await settled();
    expect(rig.heard()).toEqual(["refused 11"]);
    // Cut off, and that made durable.
    await second.finish();
    await second.finish();
    await work;
    expect(rig.heard()).toEqual(["refusal durable"]);
    rig.put(12);
    rig.turn();
    const [opening, commit] = rig.records(second, SEGMENT_HEADER_BYTES, 2);
    expect([opening.version, commit.version]).toEqual([11, 12]);
  });

  test("ends the log when it cannot be synced", async () => {
    const rig = new LogRig({ segmentBytes: 16 * least });
    await rig.save(11);
    const second = rig.prepare(2);
    const work = rig.log.startSegment();
    await settled();
    await second.finish(systemError("EIO"));
    await work;
    expect(rig.heard()).toEqual(["failed"]);
  });
});
