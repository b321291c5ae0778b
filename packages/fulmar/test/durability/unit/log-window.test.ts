import { describe, expect, test } from "vitest";
import { LogRig, OVERHEAD_BYTES, settled, systemError } from "./log-rig.js";

const CALM = { intervalMs: 1000, commits: 1000, bytes: 1 << 30 };
const RECORD_BYTES = OVERHEAD_BYTES + 10;

/** A commit that is handed over at once. */
function log(rig: LogRig, version: number): void {
  rig.put(version);
  rig.log.want("logged");
  rig.turn();
}

/** The same after some time: the end of a turn waits for others then. */
async function logLater(rig: LogRig, version: number): Promise<void> {
  log(rig, version);
  await settled();
}

describe("what may be lost", () => {
  test.each([
    ["commits", { ...CALM, commits: 2 }],
    ["bytes", { ...CALM, bytes: 2 * RECORD_BYTES }],
  ])("is not more than so many %s: what is beyond is told of once enough is synced", async (_, flush) => {
    const rig = new LogRig({ flush });
    await rig.save(11, 12);
    log(rig, 13);
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 13"], 0]);
    log(rig, 14);
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 14"], 1]);
    log(rig, 15);
    log(rig, 16);
    log(rig, 17);
    expect(rig.heard()).toEqual([
      "logged 15, told up to 14",
      "logged 16, told up to 14",
      "logged 17, told up to 14",
    ]);
    await rig.file.finish();
    expect([rig.heard(), rig.file.waiting]).toEqual([["synced 14, told up to 16"], 1]);
    await rig.file.finish();
    expect([rig.heard(), rig.file.waiting]).toEqual([["synced 17"], 0]);
    log(rig, 18);
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 18"], 0]);
  });

  test("does not begin with a group that is too large: nobody is told of it before it is synced", async () => {
    const rig = new LogRig({ flush: { ...CALM, commits: 2 } });
    rig.put(11);
    rig.put(12);
    log(rig, 13);
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 13, told up to 10"], 1]);
    log(rig, 14);
    expect(rig.heard()).toEqual(["logged 14, told up to 10"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
  });

  test("was made within the interval: while a sync takes longer nobody is told of more", async () => {
    const rig = new LogRig();
    log(rig, 11);
    expect(rig.timers).toMatchObject([{ delayMs: 500, background: true }]);
    rig.timers[0].task();
    expect(rig.file.waiting).toBe(1);
    log(rig, 12);
    expect(rig.timers).toMatchObject([{}, { delayMs: 500, background: true }, { delayMs: 500 }]);
    expect(rig.heard()).toEqual(["logged 11", "logged 12"]);
    // The interval of the first one is over, and it is still not synced.
    rig.timers[1].task();
    log(rig, 13);
    expect(rig.heard()).toEqual(["logged 13, told up to 12"]);
    await rig.file.finish();
    expect([rig.heard(), rig.file.waiting]).toEqual([["synced 11"], 1]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
    expect(rig.timers.slice(2).map(({ cancelled }) => cancelled)).toEqual([true]);
  });

  test("begins anew with what comes after a sync has begun", async () => {
    const rig = new LogRig();
    log(rig, 11);
    rig.timers[0].task();
    log(rig, 12);
    // Half of the interval of the second one passes during the sync, and then the other half.
    rig.timers[2].task();
    rig.timers[3].task();
    log(rig, 13);
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "logged 13, told up to 12"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 11, told up to 12"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 13"]);
    log(rig, 14);
    expect(rig.heard()).toEqual(["logged 14"]);
  });

  test("is as short while each sync begins as soon as the one before it has ended", async () => {
    const rig = new LogRig();
    await rig.save(11);
    rig.put(12);
    rig.log.want("synced");
    rig.turn();
    // So many that they are synced without waiting for more.
    for (let version = 13; version < 33; version++) rig.put(version);
    rig.log.want("synced");
    await rig.file.finish();
    log(rig, 33);
    for (let version = 34; version < 54; version++) rig.put(version);
    rig.log.want("synced");
    rig.heard();
    await rig.file.finish();
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 53", "synced 32"], 1]);
    // 33 is told of and under way: its interval is the one that counts.
    rig.pass(1000);
    await logLater(rig, 54);
    expect(rig.heard()).toEqual(["logged 54, told up to 53"]);
    await rig.file.finish();
    expect(rig.heard()).toEqual(["synced 53"]);
  });

  test("was made within the interval by the clock, though a program keeps every timer waiting", async () => {
    const rig = new LogRig();
    rig.nowMs = 5000;
    await logLater(rig, 11);
    rig.nowMs = 5999;
    await logLater(rig, 12);
    rig.nowMs = 6000;
    await logLater(rig, 13);
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "logged 13, told up to 12"]);
    expect(rig.file.waiting).toBe(1);
  });

  test("takes nothing from what somebody wants synced who writes when told of a commit", async () => {
    const rig = new LogRig({ flush: { ...CALM, commits: 2 } });
    rig.onEvent = (event) => {
      if (event !== "logged 12") return;
      rig.put(13);
      rig.log.want("synced");
    };
    rig.put(11);
    log(rig, 12);
    expect([rig.heard(), rig.file.waiting]).toEqual([["logged 12"], 1]);
    await rig.file.finish();
    rig.turn();
    await rig.file.finish();
    expect([rig.heard(), rig.log.synced]).toEqual([["synced 12", "logged 13", "synced 13"], 13]);
  });

  test("is of no interest after a failure", async () => {
    const rig = new LogRig();
    log(rig, 11);
    rig.timers[0].task();
    log(rig, 12);
    await rig.file.finish(systemError("EIO"));
    expect(rig.heard()).toEqual(["logged 11", "logged 12", "failed"]);
    expect(rig.timers.map(({ cancelled }) => cancelled)).toEqual([false, true, true]);
  });

  test.each([
    [1, [1, 1]],
    [3, [1, 2]],
    [7, [3, 4]],
  ])("an interval of %d ms has two parts", (intervalMs, parts) => {
    const rig = new LogRig({ flush: { ...CALM, intervalMs } });
    log(rig, 11);
    rig.timers[0].task();
    expect(rig.timers.map(({ delayMs }) => delayMs)).toEqual(parts);
  });
});
