import { describe, expect, test } from "vitest";
import { concatBytes } from "../../src/base/bytes.js";
import { Coverage } from "../../src/record/coverage.js";
import { ENTRIES_PER_STEP } from "../../src/transaction/merge.js";
import { MERGE_AT_ONCE_BYTES, STEPS_PER_SLICE } from "../../src/transaction/merge-queue.js";
import { covering, PEER, setting, stateOf } from "./fixture.js";
import { ENTRIES, largeMerge, SLICES_OF_ALL, VALUE } from "./large-merge.js";

describe("a large merge", () => {
  test("is planned in bounded slices, and seen as a whole or not at all", async () => {
    const { committer, engine, log, pages, pass, present } = largeMerge();
    let work = 0;
    const { find, put } = engine;
    engine.find = (...parameters) => {
      work++;
      return find.apply(engine, parameters);
    };
    engine.put = (...parameters) => {
      work++;
      put.apply(engine, parameters);
    };
    const done = committer.merge(pages, covering(PEER, ENTRIES));
    let slices = 0;
    for (work = 0; engine.version === 0; work = 0) {
      expect((await pass()) || slices === 0).toBe(true);
      // Each entry is looked up for itself, then as a candidate, and then put; one step may do some of two of these.
      expect(work).toBeLessThanOrEqual((STEPS_PER_SLICE + 1) * ENTRIES_PER_STEP);
      slices++;
      if (engine.version === 0) expect(present()).toBe(0);
    }
    // What commits it puts nothing more.
    expect(work).toBe(0);
    // Those three, and gathering the winners.
    const least = (4 * ENTRIES) / (STEPS_PER_SLICE * ENTRIES_PER_STEP);
    expect(slices).toBeGreaterThanOrEqual(least);
    // No more turns of the loop than that takes, in which everything else comes in between.
    expect(slices).toBeLessThanOrEqual(least + 4);
    expect(present()).toBe(ENTRIES);
    expect(log.records.length).toBe(1);
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: ENTRIES, stale: 0, refused: [] });
    expect(committer.syncedCoverage.of(PEER).upTo).toBe(ENTRIES);
  });

  test("puts about as much in one slice as is merged in one go", async () => {
    const { committer, engine, foreign, hlc, pass } = largeMerge();
    const value = "v".repeat(30_000);
    const page = concatBytes(
      ...Array.from({ length: 60 }, (_, i) => foreign(PEER, i + 1, hlc, `big ${i}`, value)),
    );
    const done = committer.merge([page], covering(PEER, 60));
    let before = 0;
    let most = 0;
    while (engine.version === 0) {
      await pass();
      const { recordBytes } = engine.usage();
      most = Math.max(most, recordBytes - before);
      before = recordBytes;
    }
    expect(before).toBe(page.length);
    expect(most).toBeLessThanOrEqual(MERGE_AT_ONCE_BYTES + (STEPS_PER_SLICE * page.length) / 60);
    expect(most).toBeGreaterThanOrEqual(MERGE_AT_ONCE_BYTES);
    expect(await stateOf(done)).toBe("pending");
  });

  test("lets local writes through, which win over it when they are newer", async () => {
    const { committer, clock, log, pages, pass, name, read, hlc } = largeMerge();
    const done = committer.merge(pages, covering(PEER, ENTRIES));
    await pass();
    // Before the clock has seen the merge this one is older, and that one newer.
    const older = committer.commit([setting(name(5), "older")], "memory");
    expect((await older).stamp.hlc).toBeLessThan(hlc + 10);
    clock.observe(hlc + 20);
    void committer.commit([setting(name(ENTRIES - 1), "newer")], "memory");
    // By now the first candidates were compared with what was stored, and won.
    for (let slice = 1; slice < SLICES_OF_ALL + 1; slice++) await pass();
    void committer.commit([setting(name(6), "newer")], "memory");
    expect(log.records.length).toBe(3);
    while (await pass());
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: ENTRIES - 2, stale: 2 });
    expect([read(name(5)), read(name(6)), read(name(ENTRIES - 1))]).toEqual([VALUE, "newer", "newer"]);
    expect(log.records.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  });

  test("is planned anew when what it lost against was taken back", async () => {
    const { committer, clock, log, pages, pass, name, read, hlc } = largeMerge();
    clock.observe(hlc + 20);
    const local = committer.commit([setting(name(7), "local")], "full");
    const done = committer.merge(pages, covering(PEER, ENTRIES));
    // Until the first candidates, key 7 among them, were compared with what is stored.
    for (let slice = 0; slice < SLICES_OF_ALL + 1; slice++) await pass();
    log.refuse(0, new Error("no space"));
    expect(read(name(7))).toBeUndefined();
    while (await pass());
    expect(read(name(7))).toBe(VALUE);
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: ENTRIES, stale: 0 });
    expect(await stateOf(local)).toBe("pending");
  });

  test("keeps the order of merges: a small one waits for it", async () => {
    const { committer, foreign, log, pages, pass, hlc, read, name } = largeMerge();
    const large = committer.merge(pages, covering(PEER, ENTRIES));
    const small = committer.merge(
      [foreign(PEER, ENTRIES + 1, hlc + 30, name(1), "last")],
      covering(PEER, ENTRIES + 1),
    );
    expect(log.records.length).toBe(0);
    await pass();
    while (await pass());
    expect(log.records.length).toBe(2);
    expect(read(name(1))).toBe("last");
    log.log();
    log.sync();
    expect(await Promise.all([large, small])).toMatchObject([{ applied: ENTRIES }, { applied: 1 }]);
    // Nothing is in front of the next one.
    void committer.merge([foreign(PEER, ENTRIES + 2, hlc + 40, name(1), "at once")], new Coverage());
    expect(read(name(1))).toBe("at once");
  });

  test("is given up when the store closes or fails", async () => {
    for (const end of ["close", "fail"] as const) {
      const { committer, log, pages, pass, present } = largeMerge();
      const done = committer.merge(pages, covering(PEER, ENTRIES));
      const refused = expect(done).rejects.toMatchObject({
        code: end === "close" ? "CLOSED" : "STORE_FAILED",
      });
      await pass();
      if (end === "close") committer.stopMerging();
      else committer.failed(new Error("no disk"));
      while (await pass());
      await refused;
      expect([log.records.length, present()]).toEqual([0, 0]);
    }
  });
});
