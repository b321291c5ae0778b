import { describe, expect, test } from "vitest";
import { FulmarError } from "../../../src/base/errors.js";
import type { FileSeal } from "../../../src/durability/file-seal.js";
import { LogSteps } from "../../../src/durability/log-steps.js";
import { SEGMENT_HEADER_BYTES } from "../../../src/durability/segment-format.js";
import { scarcity } from "../../memory/scarce.js";
import { FIRST_AT, LogRig, OVERHEAD_BYTES, segment, settled, systemError } from "./log-rig.js";

const RECORD_BYTES = OVERHEAD_BYTES + 10;
const BUG = new FulmarError("INVARIANT", "broken invariant: a bug");
const FAILED = expect.objectContaining({ code: "STORE_FAILED" });

/** A seal that works so many times. */
function failingSeal(times: number): FileSeal {
  let left = times;
  const seal = (): void => {
    if (left-- <= 0) throw BUG;
  };
  return { seal, keyId: "one", header: new Uint8Array(64), erase: () => undefined } as unknown as FileSeal;
}

/** Has whoever is told of `event` throw. */
function throwing(rig: LogRig, event: string): void {
  rig.onEvent = (heard) => {
    if (heard === event) throw BUG;
  };
}

/** The log has told that it failed, once, takes nothing more, and ends. */
async function expectStopped(rig: LogRig): Promise<void> {
  expect(rig.events.filter((event) => event === "failed")).toHaveLength(1);
  expect(rig.events.at(-1)).toBe("failed");
  expect(rig.errors.at(-1)).toMatchObject({ code: "STORE_FAILED", cause: BUG });
  expect(rig.log.failure).toBe(rig.errors.at(-1));
  expect(() => rig.put(99)).toThrow(FAILED);
  expect(rig.timers.every(({ cancelled }) => cancelled)).toBe(true);
  const calls = rig.file.calls.length;
  await rig.log.close();
  await rig.log.startSegment();
  expect(rig.file.calls).toHaveLength(calls);
  expect(rig.events.filter((event) => event === "failed")).toHaveLength(1);
}

describe("no memory for a record", () => {
  const LARGE_BYTES = 2 << 20;

  /** Begins a commit for which there is none. */
  function refuse(rig: LogRig, version: number): void {
    const scarce = scarcity(0);
    expect(() => rig.log.begin(version, LARGE_BYTES)).toThrow("allocation failed");
    scarce.end();
    expect(scarce.refused).toBe(1);
  }

  test("refuses that one, and no other", async () => {
    const rig = new LogRig({ capacity: 1 << 30 });
    rig.put(11);
    refuse(rig, 12);
    rig.put(13);
    await rig.save(14);
    refuse(rig, 15);
    rig.put(16, LARGE_BYTES);
    await rig.save(17);
    expect(rig.log.failure).toBeUndefined();
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11, 13, 14, 16, 17]);
  });

  // Behind a large group there is none for the opening, either.
  test.each([10, LARGE_BYTES])("refuses no other of the next segment, behind %i bytes", async (before) => {
    const rig = new LogRig({ capacity: FIRST_AT + OVERHEAD_BYTES + before });
    rig.put(11, before);
    rig.log.want("synced");
    rig.turn();
    await rig.file.finish();
    const next = rig.prepare(2);
    refuse(rig, 12);
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    for (const file of [rig.file, next]) while (file.waiting > 0) await file.finish();
    expect(rig.log.failure).toBeUndefined();
    expect(rig.log.synced).toBe(13);
    expect(rig.records(next, SEGMENT_HEADER_BYTES, 2).map(({ version }) => version)).toEqual([11, 13]);
  });
});

describe("a commit that is abandoned", () => {
  test("is not in the log, which goes on behind what was before it", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.log.begin(12, 10);
    rig.log.abandon();
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    await rig.file.finish();
    expect(rig.log.synced).toBe(13);
    expect(rig.records(rig.file, FIRST_AT).map(({ version }) => version)).toEqual([11, 13]);
  });

  test("leaves a segment that it began to the next one", async () => {
    const rig = new LogRig({ capacity: FIRST_AT + OVERHEAD_BYTES + 10 });
    await rig.save(11);
    const next = rig.prepare(2);
    rig.log.begin(12, 10);
    rig.log.abandon();
    expect(rig.log.logged).toBe(11);
    rig.put(13);
    rig.log.want("synced");
    rig.turn();
    for (const file of [rig.file, next]) while (file.waiting > 0) await file.finish();
    expect(rig.log.synced).toBe(13);
    expect(rig.records(next, SEGMENT_HEADER_BYTES, 2).map(({ version }) => version)).toEqual([11, 13]);
  });

  test("leaves a log that can be closed, with what it began and without it", async () => {
    for (const capacity of [1 << 20, FIRST_AT + OVERHEAD_BYTES + 10]) {
      const rig = new LogRig({ capacity });
      await rig.save(11);
      rig.prepare(2);
      rig.log.begin(12, 10);
      rig.log.abandon();
      await rig.log.close();
      expect([rig.log.failure, rig.log.logged, rig.log.synced]).toEqual([undefined, 11, 11]);
    }
  });
});

describe("an error that nobody expected stops the log and is told", () => {
  test("out of sealing a record, with all that gathered before", async () => {
    const rig = new LogRig();
    const first = rig.segments.current;
    rig.segments.push(segment(2, first.handle, { seal: failingSeal(1), position: first.position }));
    rig.put(11);
    rig.put(12);
    expect(rig.heard()).toEqual(["failed"]);
    rig.events.push("failed");
    rig.turn();
    expect(rig.file.calls).toEqual([]);
    await expectStopped(rig);
  });

  test("out of sealing the opening of the next segment, beside a sync", async () => {
    const rig = new LogRig({ capacity: FIRST_AT + RECORD_BYTES });
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.prepare(2);
    if (rig.prepared !== undefined) rig.prepared = { ...rig.prepared, seal: failingSeal(0) };
    expect(() => rig.log.begin(12, 10)).toThrow(FAILED);
    // The sync that is under way has been given up: what it covers has been called unknown.
    await rig.file.finish();
    expect(rig.log.synced).toBe(10);
    await expectStopped(rig);
  });

  test("out of the change of segments for a checkpoint, which goes on without", async () => {
    const rig = new LogRig({ segmentBytes: 1024 });
    await rig.save(11);
    rig.put(12);
    rig.prepare(2);
    if (rig.prepared !== undefined) rig.prepared = { ...rig.prepared, seal: failingSeal(0) };
    await rig.log.startSegment();
    await expectStopped(rig);
  });

  test("out of what hears of a write at the end of a turn", async () => {
    const rig = new LogRig();
    throwing(rig, "logged 11");
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    await expectStopped(rig);
  });

  test("out of what hears of a write when the interval has passed", async () => {
    const rig = new LogRig();
    rig.put(11);
    rig.turn();
    throwing(rig, "logged 12");
    rig.put(12);
    rig.timers.splice(0)[0].task();
    await expectStopped(rig);
  });

  test("out of what hears of a sync", async () => {
    const rig = new LogRig();
    throwing(rig, "synced 11");
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    await rig.file.finish();
    await expectStopped(rig);
  });

  test("out of what hears of a write after a sync", async () => {
    const rig = new LogRig();
    throwing(rig, "logged 12");
    rig.put(11);
    rig.log.want("synced");
    rig.turn();
    rig.put(12);
    const closed = rig.log.startSegment();
    await rig.file.finish();
    await closed;
    await expectStopped(rig);
  });

  test("out of a refusal, and out of what hears that it is certain", async () => {
    for (const event of ["refused 10", "refusal durable"]) {
      const rig = new LogRig();
      throwing(rig, event);
      rig.file.writes.push(systemError("ENOSPC"));
      rig.put(11);
      rig.turn();
      for (let i = 0; i < 2 && rig.file.waiting > 0; i++) await rig.file.finish();
      await expectStopped(rig);
    }
  });

  test("out of the removal of what a refused group left", async () => {
    const rig = new LogRig();
    rig.file.writes.push(systemError("ENOSPC"));
    rig.put(11);
    rig.segments.current.handle = undefined;
    rig.turn();
    await settled();
    expect(rig.heard()).toEqual(["refused 10", "failed"]);
    expect(rig.errors.at(-1)).toMatchObject({ code: "STORE_FAILED", cause: { code: "INVARIANT" } });
    await rig.log.close();
  });

  test("out of closing, which ends", async () => {
    const rig = new LogRig();
    throwing(rig, "logged 11");
    rig.put(11);
    await rig.log.close();
    expect(rig.heard()).toEqual(["logged 11", "failed"]);
    expect(rig.log.failure).toMatchObject({ code: "STORE_FAILED", cause: BUG });
  });

  test("but out of what hears of the failure itself it is thrown to whoever is there", () => {
    const rig = new LogRig({ inlineSync: true });
    throwing(rig, "failed");
    rig.file.syncNowError = systemError("EIO");
    rig.put(11);
    rig.log.want("synced");
    expect(() => rig.turn()).toThrow(BUG);
    expect(rig.log.failure).toMatchObject({ code: "DURABILITY_UNKNOWN" });
  });
});

describe("steps off the event loop", () => {
  /** Steps that note when they begin, and end when the test says so. */
  function steps(names: string[], throwAt = "", atEnd: () => void = () => undefined) {
    const seen: string[] = [];
    const note = (what: string): void => {
      seen.push(what);
      if (what === throwAt) throw BUG;
    };
    const run = new LogSteps({
      next: () => {
        if (names.length === 0) atEnd();
        if (names.length === 0) return undefined;
        return async () => note(names.shift() ?? "");
      },
      between: () => note("between"),
      broken: (cause) => seen.push(cause === BUG ? "broken" : "?"),
    });
    return { run, seen };
  }

  test("are run one after the other, and waited for", async () => {
    const { run, seen } = steps(["a", "b"]);
    run.start();
    run.start();
    const { working } = run;
    await working;
    expect(seen).toEqual(["a", "between", "b", "between"]);
    expect(run.working).toBeUndefined();
  });

  test("can be waited for one by one", async () => {
    const ends: (() => void)[] = [];
    const step = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
    const nothing = (): void => undefined;
    const next = () => (ends.length < 2 ? step : undefined);
    const run = new LogSteps({ next, between: nothing, broken: nothing });
    run.start();
    let ended = 0;
    void run.step?.then(() => ended++);
    await settled();
    expect([ended, ends.length]).toEqual([0, 1]);
    ends[0]();
    await settled();
    expect([ended, ends.length]).toEqual([1, 2]);
    expect(run.working).toBeDefined();
    ends[1]();
    await run.working;
    expect(run.working).toBeUndefined();
  });

  test("are none when there is nothing to do", () => {
    const { run, seen } = steps([]);
    run.start();
    expect(run.working).toBeUndefined();
    expect(seen).toEqual([]);
  });

  test.each([
    ["a", ["a", "broken", "b", "between"]],
    ["between", ["a", "between", "broken", "b", "between", "broken"]],
  ])("tell of what %s throws, and neither stop nor reject for it", async (throwAt, expected) => {
    const { run, seen } = steps(["a", "b"], throwAt);
    run.start();
    await run.step;
    await run.working;
    expect(seen).toEqual(expected);
  });

  test("that come up at the end are run, too", async () => {
    const names = ["a"];
    const { run, seen } = steps(names, "", () => {
      // After this look, and before anybody can know that there is nothing to do.
      if (seen.length < 4) queueMicrotask(() => names.push("b"));
    });
    run.start();
    await run.working;
    await run.working;
    expect(seen).toEqual(["a", "between", "b", "between"]);
    expect(run.working).toBeUndefined();
  });

  test("begin again after they have ended", async () => {
    const names = ["a"];
    const { run, seen } = steps(names);
    run.start();
    names.push("b");
    await run.working;
    names.push("c");
    run.start();
    await run.working;
    expect(seen).toEqual(["a", "between", "b", "between", "c", "between"]);
  });
});
