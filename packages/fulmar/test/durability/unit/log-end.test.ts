import { describe, expect, test, vi } from "vitest";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, settled, systemError } from "./log-rig.js";

const LIMITS = vi.hoisted(() => ({ UNSYNCED_COMMITS_MAX: 8 }));
vi.mock("../../../src/base/limits.js", async (original) => ({ ...(await original<object>()), ...LIMITS }));

const RECORD_BYTES = OVERHEAD_BYTES + 10;
const MAX = LIMITS.UNSYNCED_COMMITS_MAX;

const putUpTo = (rig: LogRig, from: number, count: number): void => {
  for (let i = 0; i < count; i++) rig.put(from + i);
};

describe("commits that are not synced", () => {
  test("are bounded: the last one is synced in line with all before it", async () => {
    const rig = new LogRig();
    putUpTo(rig, 11, 3);
    rig.turn();
    putUpTo(rig, 14, MAX - 4);
    expect(rig.file.calls).toHaveLength(1);
    rig.put(10 + MAX);
    expect(rig.file.calls).toEqual([
      `write ${3 * RECORD_BYTES} at ${FIRST_AT}`,
      `write ${5 * RECORD_BYTES} at ${FIRST_AT + 3 * RECORD_BYTES}`,
      "syncNow",
    ]);
    expect(rig.heard()).toEqual(["logged 13", "logged 18", "synced 18"]);
    // And counted anew from there.
    putUpTo(rig, 19, MAX - 1);
    expect(rig.log.logged).toBe(18);
    rig.put(26);
    expect(rig.heard()).toEqual(["logged 26", "synced 26"]);
  });

  test("synced in line during another sync are told when that has ended well", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    putUpTo(rig, 12, MAX - 1);
    expect(rig.heard()).toEqual(["logged 11", "logged 18"]);
    expect(rig.file.calls.at(-1)).toBe("syncNow");
    expect(rig.log.synced).toBe(10);
    // Those count as synced already.
    putUpTo(rig, 19, MAX - 1);
    expect(rig.log.logged).toBe(18);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 18", "logged 25"]);
    expect(rig.file.waiting).toBe(0);
  });

  test("synced in line when that sync has just ended are told, too", async () => {
    const rig = new LogRig();
    rig.onEvent = (event) => {
      if (event === "logged 12") putUpTo(rig, 13, MAX - 1);
    };
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    await rig.file.finish();
    expect(rig.file.calls.at(-1)).toBe("syncNow");
    expect(rig.heard()).toEqual(["logged 11", "synced 11", "logged 12", "logged 19", "synced 19"]);
  });

  test("synced in line during another sync that fails are unknown", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    putUpTo(rig, 12, MAX - 1);
    await rig.file.finish(systemError("EIO"));
    expect(rig.heard()).toEqual(["logged 11", "logged 18", "failed"]);
    expect(rig.log.synced).toBe(10);
  });

  test("are not synced in line after a refusal, and refused in their turn", async () => {
    const rig = new LogRig();
    rig.file.writes.push(systemError("EIO"));
    putUpTo(rig, 11, MAX);
    expect(rig.heard()).toEqual(["refused 10"]);
    expect(rig.file.calls).toEqual(["write fails", `truncate ${FIRST_AT}`]);
  });

  test("that a listener writes and that are synced in line leave no interval behind", () => {
    const rig = new LogRig();
    rig.onEvent = (event) => {
      if (event === "logged 11") putUpTo(rig, 12, MAX - 1);
    };
    rig.put(11);
    rig.turn();
    expect(rig.heard()).toEqual(["logged 11", "logged 18", "synced 18"]);
    expect(rig.timers.every(({ cancelled }) => cancelled)).toBe(true);
  });

  test("that cannot be synced in line fail once, though the sync beside that fails too", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.file.syncNowError = systemError("EIO");
    putUpTo(rig, 12, MAX - 1);
    await rig.file.finish(systemError("EIO"));
    expect(rig.heard()).toEqual(["logged 11", "logged 18", "failed"]);
  });

  test("that cannot be synced in line fail, and nothing, and nothing more is written", () => {
    const rig = new LogRig();
    rig.put(11);
    rig.turn();
    rig.file.syncNowError = systemError("EIO");
    putUpTo(rig, 12, MAX - 1);
    expect(rig.heard()).toEqual(["logged 11", "logged 18", "failed"]);
    expect(rig.errors).toMatchObject([{ code: "DURABILITY_UNKNOWN", details: { path: "/log/1" } }]);
    expect(rig.timers).toMatchObject([{ cancelled: true }]);
    expect(rig.file.waiting).toBe(0);
  });
});

describe("a sync that fails", () => {
  test("is told once and for all, and never tried again", async () => {
    const rig = new LogRig();
    await rig.save(11);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.put(13);
    const cause = systemError("EIO");
    await rig.file.finish(cause);
    expect(rig.heard()).toEqual(["logged 12", "failed"]);
    expect(rig.errors).toMatchObject([{ code: "DURABILITY_UNKNOWN", details: { path: "/log/1" }, cause }]);
    expect(rig.log.failure).toBe(rig.errors[0]);
    expect([rig.log.logged, rig.log.synced]).toEqual([12, 11]);
    expect(rig.timers.at(-1)).toMatchObject({ cancelled: true });
    expect(() => rig.put(14)).toThrow(
      expect.objectContaining({ code: "STORE_FAILED", cause: rig.log.failure }),
    );
    rig.file.calls.length = 0;
    rig.turn();
    rig.log.want("synced");
    expect(rig.scheduled).toBe(0);
    rig.timers.at(-1)?.task();
    await settled();
    await rig.log.close();
    expect(rig.file.calls).toEqual([]);
    expect(rig.heard()).toEqual([]);
  });

  test("refuses a commit that was begun before it, without a word", async () => {
    const rig = new LogRig({ inlineSync: true });
    rig.put(11);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    rig.log.begin(13, 10);
    rig.log.want("synced");
    await rig.file.finish(systemError("EIO"));
    rig.log.end();
    rig.turn();
    await settled();
    expect(rig.file.calls).toHaveLength(2);
    expect(rig.heard()).toEqual(["logged 12", "failed"]);
  });
});

describe("closing", () => {
  test("writes and syncs what is pending, and takes nothing more", async () => {
    const rig = new LogRig();
    rig.put(11);
    const closed = rig.log.close();
    expect(() => rig.put(12)).toThrow(expect.objectContaining({ code: "CLOSED" }));
    expect(rig.file.calls).toEqual([`write ${RECORD_BYTES} at ${FIRST_AT}`, "sync"]);
    let ended = false;
    void closed.then(() => (ended = true));
    await settled();
    expect(ended).toBe(false);
    await rig.file.finish();
    await closed;
    expect(rig.heard()).toEqual(["logged 11", "synced 11"]);
    expect(rig.timers).toMatchObject([{ cancelled: true }]);
  });

  test("of a log that is synced does nothing", async () => {
    const rig = new LogRig();
    await rig.save(11);
    await rig.log.close();
    expect(rig.file.calls).toEqual([]);
    expect(rig.heard()).toEqual([]);
  });

  test("waits for the sync under way, and syncs what came during it", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    const closed = rig.log.close();
    await rig.file.finish();
    await rig.file.finish();
    await closed;
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "synced 11", "synced 12"]);
  });

  test("during a refusal waits until that is certain, and writes what came after it", async () => {
    const rig = new LogRig();
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(11);
    rig.turn();
    rig.put(11);
    const closed = rig.log.close();
    expect(rig.file.calls).toEqual(["write fails", `truncate ${FIRST_AT}`]);
    await rig.file.finish();
    await rig.file.finish();
    await rig.file.finish();
    await closed;
    expect(rig.heard()).toEqual(["refused 10", "refusal durable", "logged 11", "synced 11"]);
  });

  test("ends when the sync fails", async () => {
    const rig = new LogRig();
    rig.put(11);
    const closed = rig.log.close();
    await rig.file.finish(systemError("EIO"));
    await closed;
    expect(rig.heard()).toEqual(["logged 11", "failed"]);
  });
});
