import { describe, expect, test, vi } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { Coverage } from "../../src/record/coverage.js";
import { covering, OTHER, PEER, setting } from "./fixture.js";
import { ENTRIES, largeMerge, SLICES_OF_ALL, VALUE } from "./large-merge.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");

type LargeMerge = ReturnType<typeof largeMerge>;

/** A large merge that begins to be put into memory after `before`; so many of its entries are there. */
async function begun(before: (on: LargeMerge) => void, entries: number) {
  const merge = largeMerge();
  before(merge);
  const { committer, engine, pages, pass } = merge;
  const there = engine.usage().entries;
  const done = committer.merge(pages, covering(PEER, ENTRIES));
  while (!engine.isHiding) expect((await pass()) || !engine.isHiding).toBe(true);
  while (engine.usage().entries < there + entries) await pass();
  expect(engine.isHiding).toBe(true);
  return { ...merge, done };
}

describe.each([0, 1000])("with %i entries of a merge in memory", (entries) => {
  test("a commit before it that has no entries becomes durable", async () => {
    let covered: Promise<unknown> = Promise.resolve();
    const { committer, engine, log, pass, done, present } = await begun((on) => {
      void on.committer.commit([setting("a", "1")], "memory");
      covered = on.committer.merge([], covering(OTHER, 5));
    }, entries);
    log.log();
    log.sync();
    await covered;
    expect([engine.settled, engine.version, engine.isHiding, present()]).toEqual([2, 2, true, 0]);
    const pin = committer.pin(engine.version);
    engine.verify();
    while (await pass());
    expect(present()).toBe(ENTRIES);
    log.log();
    log.sync();
    expect(await done).toMatchObject({ version: 3, applied: ENTRIES });
    expect(committer.appliedCoverage.of(OTHER)).toEqual({ upTo: 5, holes: [] });
    pin.release();
    engine.verify();
  });

  test("a commit before it that has no entries becomes durable, and it is taken back then", async () => {
    const { committer, engine, log, done, present } = await begun((on) => {
      void on.committer.commit([setting("a", "1")], "memory");
      void on.committer.merge([], covering(OTHER, 5));
    }, entries);
    log.log();
    log.sync();
    done.catch(() => undefined);
    committer.stopMerging();
    expect([engine.version, engine.isHiding, present(), committer.failure]).toEqual([2, false, 0, undefined]);
    engine.verify();
  });

  test("commits before it that have no entries are taken back in part", async () => {
    const { committer, engine, log, pass, done, present, read, name } = await begun((on) => {
      void on.committer.commit([setting("a", "1")], "memory");
      void on.committer.merge([], covering(OTHER, 5));
      on.committer.merge([], covering(OTHER, 6)).catch(() => undefined);
    }, entries);
    log.log(2);
    log.refuse(2, DISK_FULL);
    expect([engine.isHiding, present(), read("a")]).toEqual([false, 0, "1"]);
    engine.verify();
    while (await pass());
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: ENTRIES });
    expect(read(name(1))).toBe(VALUE);
    expect(committer.appliedCoverage.of(OTHER)).toEqual({ upTo: 5, holes: [] });
  });

  test("a store that failed is not changed by whoever wants it whole", async () => {
    const { committer, engine, log, pass, done, present } = await begun(() => undefined, entries);
    const refused = expect(done).rejects.toMatchObject({ code: "STORE_FAILED" });
    committer.failed(new Error("memory could not be tidied up"));
    committer.finishMerge();
    expect([engine.isHiding, present(), log.records.length]).toEqual([false, 0, 0]);
    while (await pass());
    await refused;
    engine.verify();
  });
});

test("who hears of earlier commits at the end of a merge of which nothing is left may write", async () => {
  const { committer, clock, engine, hlc, log, name, pages, pass, read, when } = largeMerge();
  const done = committer.merge(pages, new Coverage());
  // Most entries were compared with what was stored, and won.
  for (let slice = 1; slice < 2 * SLICES_OF_ALL; slice++) await pass();
  clock.observe(hlc + 20);
  const writes = Array.from({ length: ENTRIES }, (_, i) => setting(name(i), "newer"));
  void committer.commit(writes, "relaxed");
  // As the log does when there is enough for a sync of its own.
  log.want = (level) => {
    if (level === "synced") log.log();
  };
  const hide = vi.spyOn(engine, "hide");
  const errors: unknown[] = [];
  when.published = () => {
    when.published = undefined;
    try {
      committer.finishMerge();
      void committer.commit([setting("a", "told")], "relaxed");
    } catch (error) {
      errors.push(error);
    }
  };
  while (await pass());
  expect(hide).toHaveBeenCalledTimes(1);
  expect(errors).toEqual([]);
  expect([read("a"), engine.isHiding]).toEqual(["told", false]);
  log.log();
  log.sync();
  expect(await done).toMatchObject({ applied: 0, stale: ENTRIES });
});
