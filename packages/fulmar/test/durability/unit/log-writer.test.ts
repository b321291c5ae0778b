import { describe, expect, test } from "vitest";
import { GROUP_BYTES_MAX } from "../../../src/base/limits.js";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, settled } from "./log-rig.js";

const RECORD_BYTES = OVERHEAD_BYTES + 10;
const CALM = { intervalMs: 1000, commits: 1000, bytes: 1 << 30 };

describe("a log", () => {
  test("stands at first where it ended before", () => {
    const { log } = new LogRig();
    expect([log.logged, log.synced, log.appendedBytes, log.failure]).toEqual([10, 10, 0, undefined]);
    expect(log.syncedEnd).toEqual({ segment: 1, position: FIRST_AT, crc: 7, version: 10 });
  });

  test("takes one commit after the other, each with a higher version", () => {
    const { log } = new LogRig();
    const invariant = expect.objectContaining({ code: "INVARIANT" });
    expect(() => log.end()).toThrow(invariant);
    expect(() => log.begin(10, 1)).toThrow(invariant);
    log.begin(11, 1);
    expect(() => log.begin(12, 1)).toThrow(invariant);
    log.end();
    expect(() => log.end()).toThrow(invariant);
    expect(() => log.begin(11, 1)).toThrow(invariant);
    expect(() => log.abandon()).toThrow(invariant);
    expect(() => log.begin(12, 1)).not.toThrow();
    log.abandon();
    expect(() => log.end()).toThrow(invariant);
    expect(log.failure).toBeUndefined();
  });

  test("writes commits of one turn together when it is over, and syncs nothing that nobody asked for", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.put(12);
    expect(rig.scheduled).toBe(1);
    expect(rig.file.calls).toEqual([]);
    rig.turn();
    expect(rig.file.calls).toEqual([`write ${2 * RECORD_BYTES} at ${FIRST_AT}`]);
    expect(rig.heard()).toEqual(["logged 12"]);
    expect([rig.log.logged, rig.log.synced, rig.log.appendedBytes]).toEqual([12, 10, 2 * RECORD_BYTES]);
    expect(rig.log.syncedEnd.version).toBe(10);
    await settled();
    expect(rig.file.waiting).toBe(0);
    rig.put(13);
    expect(rig.scheduled).toBe(1);
    rig.turn();
    expect(rig.file.calls[1]).toBe(`write ${RECORD_BYTES} at ${FIRST_AT + 2 * RECORD_BYTES}`);
    const [first, second, third] = rig.records(rig.file, FIRST_AT);
    expect(first).toMatchObject({ version: 11, synced: 10, predecessor: 7 });
    expect([second.version, third.version]).toEqual([12, 13]);
    expect(rig.log.appendedBytes).toBe(3 * RECORD_BYTES);
  });

  test("schedules its work once for each turn", () => {
    const rig = new LogRig();
    rig.put(11);
    const before = rig.scheduled;
    rig.log.want("logged");
    rig.log.want("synced");
    rig.put(12);
    expect(rig.scheduled).toBe(before);
    rig.turn();
    expect(rig.scheduled).toBe(0);
    rig.log.want("logged");
    expect(rig.scheduled).toBe(1);
  });

  test("syncs off the event loop when somebody waits for it, and tells where it stands", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    expect(rig.file.calls).toEqual([`write ${RECORD_BYTES} at ${FIRST_AT}`, "sync"]);
    expect(rig.heard()).toEqual(["logged 11"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 11"]);
    expect(rig.log.syncedEnd).toMatchObject({ segment: 1, position: FIRST_AT + RECORD_BYTES, version: 11 });
    expect(rig.file.calls).toHaveLength(2);
    rig.log.want("synced");
    rig.turn();
    await settled();
    expect(rig.file.calls).toHaveLength(2);
  });

  test("lets the next group gather during a sync, and syncs it after that", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.put(13);
    rig.turn();
    expect(rig.log.logged).toBe(11);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "synced 11", "logged 13"]);
    expect(rig.file.calls.slice(2)).toEqual([
      `write ${2 * RECORD_BYTES} at ${FIRST_AT + RECORD_BYTES}`,
      "sync",
    ]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
    await settled();
    expect(rig.file.waiting).toBe(0);
  });

  test("what came while a sync was awaited is written after it, and not synced if nobody waits", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    rig.turn();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "synced 11", "logged 12"]);
    expect(rig.file.waiting).toBe(0);
  });

  test("writes during a sync when somebody waits for the write, which that sync does not cover", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    rig.log.want("logged");
    rig.turn();
    expect(rig.heard()).toEqual(["logged 11", "logged 12"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 11"]);
    expect(rig.log.syncedEnd.position).toBe(FIRST_AT + RECORD_BYTES);
    expect(rig.file.waiting).toBe(0);
    // That somebody waited for one write does not make the next one hurry.
    rig.log.want("synced");
    rig.turn();
    rig.put(13);
    rig.turn();
    expect(rig.log.logged).toBe(12);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 12", "logged 13"]);
  });

  test("writes a group at once when it is large, and not before", () => {
    const rig = new LogRig({ capacity: 1 << 30 });
    rig.put(11, GROUP_BYTES_MAX - OVERHEAD_BYTES - 1);
    expect(rig.log.logged).toBe(10);
    rig.turn();
    rig.put(12, GROUP_BYTES_MAX - OVERHEAD_BYTES);
    expect(rig.log.logged).toBe(12);
    expect(rig.file.waiting).toBe(0);
    rig.log.want("synced");
    rig.put(13, GROUP_BYTES_MAX - OVERHEAD_BYTES);
    expect(rig.file.waiting).toBe(1);
  });

  const PIECE_BYTES = 64 * 1024;

  test("writes what nobody waits for in pieces, but for a single commit, of which it is not known yet", () => {
    const rig = new LogRig({ capacity: 1 << 30 });
    rig.put(11, PIECE_BYTES);
    expect(rig.log.logged).toBe(10);
    rig.put(12);
    expect(rig.heard()).toEqual(["logged 12"]);
    rig.put(13);
    rig.put(14, PIECE_BYTES - 2 * OVERHEAD_BYTES - 10 - 1);
    expect(rig.log.logged).toBe(12);
    rig.turn();
    rig.put(15);
    rig.put(16, PIECE_BYTES - 2 * OVERHEAD_BYTES - 10);
    expect(rig.heard()).toEqual(["logged 14", "logged 16"]);
    expect(rig.file.waiting).toBe(0);
  });

  test("keeps together whose sync somebody waits for, and what comes while a sync is under way", async () => {
    const rig = new LogRig({ capacity: 1 << 30 });
    rig.put(11);
    rig.log.want("synced");
    rig.put(12, PIECE_BYTES);
    expect(rig.log.logged).toBe(10);
    rig.turn();
    rig.put(13);
    rig.put(14, PIECE_BYTES);
    expect(rig.heard()).toEqual(["logged 12"]);
    await rig.file.finish();
    rig.put(15);
    expect(rig.heard()).toEqual(["synced 12", "logged 14"]);
    rig.put(16, PIECE_BYTES);
    expect(rig.heard()).toEqual(["logged 16"]);
  });

  test("syncs after half of the bytes that were set, also when nobody waits and the turn does not end", () => {
    const flush = { intervalMs: 1000, commits: 1000, bytes: 4 * PIECE_BYTES };
    const rig = new LogRig({ capacity: 1 << 30, flush });
    rig.put(11);
    rig.put(12, PIECE_BYTES);
    expect([rig.log.logged, rig.file.waiting]).toEqual([12, 0]);
    rig.put(13);
    rig.put(14, PIECE_BYTES);
    expect([rig.log.logged, rig.file.waiting]).toEqual([14, 1]);
  });

  test("does not wait for a commit that has begun", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.log.begin(12, 10);
    rig.log.want("synced");
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "synced 11"]);
    rig.log.end();
    rig.turn();
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 12", "synced 12"]);
  });

  test("goes on with what is written in the moment when a sync ends", async () => {
    for (let steps = 0; steps < 9; steps++) {
      const rig = new LogRig({ capacity: 1 << 30 });
      rig.onEvent = (event) => {
        if (event !== "synced 11") return;
        let later = Promise.resolve();
        for (let i = 0; i < steps; i++) later = later.then();
        void later.then(() => {
          rig.log.begin(12, GROUP_BYTES_MAX);
          rig.log.want("synced");
          rig.log.end();
        });
      };
      rig.put(11);
      rig.log.want("synced");
      rig.turn();
      await rig.file.finish();
      expect(rig.log.logged).toBe(12);
      expect(rig.file.waiting, `after ${steps} steps`).toBe(1);
    }
  });

  test("continues short writes, and refuses nothing for them", () => {
    const rig = new LogRig();
    rig.file.writes.push(5, 1);
    rig.put(11);
    rig.turn();
    expect(rig.file.calls).toEqual([
      `write 5 at ${FIRST_AT}`,
      `write 1 at ${FIRST_AT + 5}`,
      `write ${RECORD_BYTES - 6} at ${FIRST_AT + 6}`,
    ]);
    expect(rig.heard()).toEqual(["logged 11"]);
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11]);
  });
});

describe("the flush policy", () => {
  test("half an interval after the first commit that is not synced everything is, written before or not", async () => {
    const rig = new LogRig();
    rig.put(11);
    expect(rig.timers).toEqual([]);
    rig.turn();
    rig.put(12);
    rig.turn();
    expect(rig.timers).toMatchObject([{ delayMs: 500, background: true, cancelled: false }]);
    rig.put(13);
    rig.timers[0].task();
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "logged 13"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
    rig.put(14);
    rig.turn();
    expect(rig.timers.map(({ cancelled }) => cancelled)).toEqual([false, true, false]);
  });

  test("the interval ends with the sync that covers everything, and with no other", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    rig.log.want("logged");
    rig.turn();
    await rig.file.finish();
    expect(rig.timers).toMatchObject([{ cancelled: true }, { cancelled: false }]);
    rig.log.want("synced");
    rig.turn();
    await rig.file.finish();
    expect(rig.timers).toMatchObject([{ cancelled: true }, { cancelled: true }]);
    rig.put(13);
    rig.turn();
    expect(rig.timers).toHaveLength(3);
  });

  test("an interval that passes during a sync is followed by another sync", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    rig.timers[0].task();
    expect(rig.log.logged).toBe(12);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "synced 11"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 12"]);
  });

  test.each([
    ["commits", { ...CALM, commits: 5 }],
    ["bytes", { ...CALM, bytes: 5 * RECORD_BYTES }],
  ])("more than half of so many %s are synced, fewer are not", async (_, flush) => {
    const rig = new LogRig({ flush });
    // What is synced already does not count.
    await rig.save(11, 12);
    rig.put(13);
    rig.turn();
    rig.put(14);
    rig.turn();
    expect(rig.file.waiting).toBe(0);
    rig.put(15);
    rig.turn();
    expect(rig.file.waiting).toBe(1);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["logged 13", "logged 14", "logged 15", "synced 15"]);
  });
});
