import { describe, expect, test, vi } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { Coverage } from "../../src/record/coverage.js";
import { GradualMerge } from "../../src/transaction/gradual-merge.js";
import { ENTRIES_PER_STEP, planMerge } from "../../src/transaction/merge.js";
import { covering, PEER, setting } from "./fixture.js";
import { ENTRIES, largeMerge, SLICES_OF_ALL, VALUE } from "./large-merge.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");
const NO_MEMORY = new RangeError("Array buffer allocation failed");

type LargeMerge = ReturnType<typeof largeMerge>;

/** A large merge in the middle of being put into memory: the first slice of that is done. */
async function halfPut(options: Parameters<typeof largeMerge>[0] = {}, before?: (on: LargeMerge) => void) {
  const merge = largeMerge(options);
  const { committer, engine, pages, pass } = merge;
  before?.(merge);
  const started = engine.version;
  const done = committer.merge(pages, covering(PEER, ENTRIES));
  while (!engine.isHiding) expect((await pass()) || !engine.isHiding).toBe(true);
  expect(engine.version).toBe(started);
  while (engine.usage().entries < 1000) await pass();
  expect(engine.usage().entries).toBeLessThan(ENTRIES);
  return { ...merge, done };
}

describe("a merge that is half in memory", () => {
  test("is shown, as one commit, before the next local one", async () => {
    const { committer, log, read, name, done, pass, published, present, hlc } = await halfPut();
    // Whoever decided something without it must not commit that.
    expect(() => committer.commit([setting("a", "1")], "full")).toThrow("has a merge finished before");
    committer.finishMerge();
    const local = committer.commit([setting(name(3), "local")], "full");
    expect([present(), read(name(3)), read(name(4))]).toEqual([ENTRIES, "local", VALUE]);
    expect(log.records.map(({ version }) => version)).toEqual([1, 2]);
    log.log();
    log.sync();
    expect(published.map(({ remote, keys }) => [remote, keys.length])).toEqual([
      [true, ENTRIES],
      [false, 1],
    ]);
    const { version, stamp } = await local;
    expect(version).toBe(2);
    // The clock has seen what was merged.
    expect(stamp.hlc).toBeGreaterThan(hlc + 10);
    // It has its outcome although nobody came for it yet.
    while (await pass());
    expect(await done).toMatchObject({ version: 1, applied: ENTRIES, stale: 0 });
  });

  test("is of no state that is pinned meanwhile, and a conflict for who read what it changes", async () => {
    const start = ({ committer, log }: LargeMerge): void => {
      void committer.commit([setting("key 1", "before")], "memory");
      log.log();
    };
    const { committer, engine, read, name, pass } = await halfPut({}, start);
    expect([read(name(1)), read(name(2))]).toEqual(["before", undefined]);
    const pin = committer.pin(engine.version);
    committer.trail.follow(pin.version);
    while (await pass());
    expect([read(name(1)), read(name(2))]).toEqual([VALUE, VALUE]);
    expect([read(name(1), pin.version), read(name(2), pin.version)]).toEqual(["before", undefined]);
    expect(committer.trail.since(pin.version, ENTRIES)).toHaveLength(ENTRIES);
    pin.release();
    engine.verify();
  });

  test("is whole for whoever sweeps, evicts or asks for that", async () => {
    const deadline = Date.UTC(2026, 0, 1) - 1;
    for (const finish of ["sweep", "evict", "finishMerge"] as const) {
      const { committer, present } = await halfPut({}, (on) => {
        void on.committer.commit([setting("old", "v", deadline)], "memory");
      });
      expect(present()).toBe(0);
      if (finish === "sweep") expect(committer.sweep(10)).toBe(1);
      else if (finish === "evict") expect(committer.evict({ bytes: 1, entries: 1 }).entries).toBe(0);
      else committer.finishMerge();
      expect(present()).toBe(ENTRIES);
    }
  });

  test("is planned anew when commits before it are taken back", async () => {
    const before = ({ committer, clock, hlc, name, log }: LargeMerge): void => {
      void committer.commit([setting(name(9), "logged")], "memory");
      log.log();
      clock.observe(hlc + 20);
      committer.commit([setting(name(7), "refused")], "full").catch(() => undefined);
    };
    const { committer, engine, log, read, name, done, pass, present } = await halfPut({}, before);
    log.refuse(1, DISK_FULL);
    expect(engine.isHiding).toBe(false);
    expect([present(), read(name(9)), read(name(7))]).toEqual([1, "logged", undefined]);
    engine.verify();
    while (await pass());
    expect([present(), read(name(7))]).toEqual([ENTRIES, VALUE]);
    log.log();
    log.sync();
    // The number that it had is not given out again.
    expect(await done).toMatchObject({ version: 4, applied: ENTRIES });
    expect(committer.lastVersion).toBe(4);
  });

  test("may be refused by the log before anybody came for its outcome", async () => {
    const { committer, log, done, pass, present } = await halfPut();
    committer.finishMerge();
    log.refuse(0, DISK_FULL);
    committer.refusalDurable();
    // Whoever waits for the merge is told; a rejection that nobody handles would end the process.
    const refused = expect(done).rejects.toBe(DISK_FULL);
    await new Promise((resolve) => setImmediate(resolve));
    while (await pass());
    await refused;
    expect(present()).toBe(0);
  });

  test("leaves nothing when the store closes or fails, nor keeps it", async () => {
    for (const end of ["close", "fail"] as const) {
      const { committer, engine, log, done, pass, present } = await halfPut();
      const code = end === "close" ? "CLOSED" : "STORE_FAILED";
      const refused = expect(done).rejects.toMatchObject({ code });
      if (end === "fail") committer.failed(new Error("no disk"));
      else {
        committer.stopMerging();
        // At once: what is closed may have to be written before the loop turns.
        expect([engine.isHiding, engine.usage().entries]).toEqual([false, 0]);
      }
      while (await pass());
      await refused;
      expect([engine.isHiding, engine.usage().entries, present(), log.records.length]).toEqual([
        false,
        0,
        0,
        0,
      ]);
      engine.verify();
    }
  });

  test("leaves nothing when there is no memory for the rest, and all goes on", async () => {
    for (const by of ["the next slice", "a local write"] as const) {
      const { committer, engine, log, done, pass, present, read } = await halfPut();
      vi.spyOn(engine, "put").mockImplementationOnce(() => {
        throw NO_MEMORY;
      });
      if (by === "a local write") {
        committer.finishMerge();
        void committer.commit([setting("local", "1")], "memory");
      }
      const refused = expect(done).rejects.toBe(NO_MEMORY);
      while (await pass());
      await refused;
      expect([engine.isHiding, present(), committer.failure]).toEqual([false, 0, undefined]);
      void committer.commit([setting("next", "2")], "memory");
      expect(read("next")).toBe("2");
      expect(read("local")).toBe(by === "a local write" ? "1" : undefined);
      expect(log.records.length).toBe(by === "a local write" ? 2 : 1);
      engine.verify();
    }
  });

  test("leaves nothing when the log has no memory for its record", async () => {
    const { committer, engine, log, done, pass, present } = await halfPut();
    vi.spyOn(log, "begin").mockImplementationOnce(() => {
      throw NO_MEMORY;
    });
    const refused = expect(done).rejects.toBe(NO_MEMORY);
    while (await pass());
    await refused;
    expect([engine.isHiding, present(), committer.failure]).toEqual([false, 0, undefined]);
    engine.verify();
  });

  test("fails the store when it can neither be put nor taken back", async () => {
    for (const when of ["put", "record", "closed"] as const) {
      const { committer, engine, log, done, pass, failures } = await halfPut();
      const cause = new Error("a bug");
      const refused = expect(done).rejects.toMatchObject({ code: "STORE_FAILED" });
      const breakDown = (): never => {
        throw cause;
      };
      if (when === "put") vi.spyOn(engine, "put").mockImplementationOnce(breakDown);
      else vi.spyOn(engine, "rollback").mockImplementation(breakDown);
      if (when === "record") vi.spyOn(log, "begin").mockImplementationOnce(breakDown);
      if (when === "closed") committer.stopMerging();
      while (await pass());
      await refused;
      expect(failures).toHaveLength(1);
      expect(() => committer.commit([setting("a", "1")], "memory")).toThrow("read-only");
    }
  });

  test("commits no more than what local writes left of it meanwhile", async () => {
    const { committer, engine, clock, log, pages, pass, name, read, hlc, present } = largeMerge();
    const done = committer.merge(pages, new Coverage());
    clock.observe(hlc + 20);
    const writes = Array.from({ length: ENTRIES }, (_, i) => setting(name(i), "newer"));
    // Most entries were compared with what was stored, and won; the rest will lose.
    for (let slice = 1; slice < 2 * SLICES_OF_ALL; slice++) await pass();
    expect(engine.version).toBe(0);
    void committer.commit(writes, "memory");
    const hide = vi.spyOn(engine, "hide");
    while (await pass());
    expect(hide).toHaveBeenCalledTimes(1);
    expect([present(), read(name(0)), engine.isHiding]).toEqual([ENTRIES, "newer", false]);
    expect(log.records.length).toBe(1);
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: 0, stale: ENTRIES });
    void committer.commit([setting("a", "1")], "memory");
    expect(read("a")).toBe("1");
  });

  test("is put in one step where something may have to be evicted for it", async () => {
    const memoryLimit = { admit: vi.fn(() => []), choose: () => [], giveBack: () => undefined };
    const { committer, engine, pages, pass, present } = largeMerge({ memoryLimit });
    const hide = vi.spyOn(engine, "hide");
    void committer.merge(pages, covering(PEER, ENTRIES));
    await pass();
    while (await pass());
    expect([present(), hide.mock.calls.length, memoryLimit.admit.mock.calls.length]).toEqual([ENTRIES, 0, 1]);
  });

  test("is one of what would be put: what lost already is none", async () => {
    const { committer, engine, pages, pass, present } = largeMerge();
    void committer.merge(pages, covering(PEER, ENTRIES));
    await pass();
    while (await pass());
    const hide = vi.spyOn(engine, "hide");
    void committer.merge(pages, new Coverage());
    await pass();
    while (await pass());
    expect(present()).toBe(ENTRIES);
    expect(hide).not.toHaveBeenCalled();
  });

  test("is put some entries, or some bytes, at a time", () => {
    const steps = (count: number, valueBytes: number): number[] => {
      const { engine, origins, clock, foreign, hlc } = largeMerge();
      const value = "v".repeat(valueBytes);
      const page = (i: number): Uint8Array => foreign(PEER, i + 1, hlc, `key ${i}`, value);
      const { checksum } = nodeRuntime();
      const context = { engine, origins, clock, checksum, limits: DEFAULT_LIMITS, ownOrigin: 1, ownSeq: 0 };
      const plan = planMerge(
        context,
        Array.from({ length: count }, (_, i) => page(i)),
      );
      const commit = vi.fn(() => Promise.resolve());
      const stepBytes = 262_144;
      const parts = {
        context,
        plan,
        isOutdated: false,
        stepBytes,
        version: 1,
        commit,
        broken: () => new Error(),
      };
      const merge = new GradualMerge(parts);
      const found: number[] = [];
      for (let goesOn = true; goesOn; ) {
        const before = engine.usage().entries;
        goesOn = merge.step();
        found.push(engine.usage().entries - before);
      }
      expect([merge.isOpen, commit.mock.calls.length]).toEqual([true, 0]);
      merge.end();
      expect([merge.isOpen, commit.mock.calls.length]).toEqual([false, 1]);
      return found;
    };
    expect(steps(2 * ENTRIES_PER_STEP + 1, 10)).toEqual([ENTRIES_PER_STEP, ENTRIES_PER_STEP, 1]);
    expect(steps(3, 262_144)).toEqual([1, 1, 1]);
    expect(steps(5, 131_072)).toEqual([2, 2, 1]);
  });
});
