import { expect, test } from "vitest";
import { Prng } from "../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, replayed } from "./harness.js";

/** Commits are written and the next segment prepared in turns of one event loop: seeds choose which comes when. */
async function writers(seed: number): Promise<{ segments: number }> {
  const prng = new Prng(`writers ${seed}`);
  const storage = machine({ seed });
  const store = await MiniStore.open(storage.runtime, { segmentBytes: 4096 });
  const writer = async (name: string): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      const key = `${name}${prng.below(6)}`;
      const version = store.put(key, `${i} `.padEnd(prng.pick([3, 400, 1300]), name));
      const level = prng.pick(["logged", "synced"] as const);
      store.log.want(level);
      const reached = (): number => (level === "logged" ? store.loggedVersion : store.syncedVersion);
      if (prng.chance(0.7)) await store.until(() => reached() >= version);
      for (let turns = prng.below(4); turns > 0; turns--) await store.runtime.timers.turn();
    }
  };
  await Promise.all(["a", "b", "c"].map(writer));
  store.log.want("synced");
  await store.until(() => store.syncedVersion === store.version);
  storage.powerCut();
  const again = await MiniStore.open(storage.restart());
  expect(again.engine.version).toBe(36);
  expect([...again.contents()].sort()).toEqual([...replayed(store.written)].sort());
  expect(again.directory.recovered.commits).toBe(36);
  const segments = filesOf(storage, ".log").length;
  await again.close();
  return { segments };
}

test("T-CONC-01, T-CONC-02: writers side by side, and segments that end between them: no hole, no double", async () => {
  let segments = 0;
  for (let seed = 1; seed <= 40; seed++) segments += (await writers(seed)).segments;
  expect(segments).toBeGreaterThan(40 * 3);
});

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 20])(
  "T-CONC-02: no gap when the next segment becomes ready %i turns after it was asked for",
  async (turns) => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime, { segmentBytes: 4096 });
    for (let i = 0; i < 24; i++) {
      store.put(`k${i % 5}`, `${i}`.padEnd(450, "v"));
      store.log.want(i % 3 === 0 ? "synced" : "logged");
      await store.until(() => store.loggedVersion === store.version);
      if (i % 6 === 0) for (let turn = 0; turn < turns; turn++) await store.runtime.timers.turn();
      else await store.runtime.timers.turn();
    }
    store.log.want("synced");
    await store.until(() => store.syncedVersion === store.version);
    const rolled = store.directory.status().segments;
    storage.powerCut();
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered).toMatchObject({ commits: 24, cutBytes: 0 });
    expect(again.contents()).toEqual(replayed(store.written));
    expect(rolled).toBeGreaterThan(1);
    await again.close();
  },
);
