import { describe, expect, test } from "vitest";
import { RECYCLED } from "../../src/durability/segment-format.js";
import type { DiskProfile, SimulatedDisk } from "../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, machineOn, replayed, type Written } from "./harness.js";

/** What must hold of a disk as it stood at one moment. */
interface Moment {
  readonly label: string;
  readonly disk: SimulatedDisk;
  /** Every commit that may have left anything, in order. */
  readonly commits: readonly Written[];
  /** The last version acknowledged as synced. */
  readonly synced: number;
}

interface Recording {
  readonly moments: Moment[];
  /** Follows a new run of the store, whose commits come after those of the earlier ones. */
  follow(store: MiniStore): void;
}

/** Keeps the disk as it is before each call that changes what a crash may leave. */
function record(disk: SimulatedDisk, before: readonly Written[] = []): Recording {
  const moments: Moment[] = [];
  let earlier = before;
  let store: MiniStore | undefined;
  let refusalsSeen = 0;
  let possible: Written[] = [];
  disk.onOperation = (operation, phase) => {
    if (phase === "before" && !operation.mutates) return;
    if (phase === "after" && operation.kind !== "write") return;
    // Until a refusal is durable its commits may still be there.
    const settled = store === undefined || store.refusalsDurable === store.refusals.length;
    if (store !== undefined && settled && store.refusals.length > refusalsSeen) {
      refusalsSeen = store.refusals.length;
      possible = [];
    }
    for (const commit of store?.written ?? []) if (!possible.includes(commit)) possible.push(commit);
    const synced = Math.max(earlier.at(-1)?.version ?? 0, store?.syncedVersion ?? 0);
    const commits = [...earlier, ...possible];
    moments.push({
      label: `${phase} ${operation.kind} ${operation.path}`,
      disk: disk.fork(),
      commits,
      synced,
    });
  };
  return {
    moments,
    follow(next) {
      earlier = store === undefined ? before : [...earlier, ...store.written];
      store = next;
      refusalsSeen = 0;
      possible = [];
    },
  };
}

/** Opens what a crash left, checks it, writes to it, and opens it once more. */
async function check(moment: Moment, image: SimulatedDisk): Promise<void> {
  const storage = machineOn(image);
  const store = await MiniStore.open(storage.runtime);
  const found = store.engine.version;
  expect(found, moment.label).toBeGreaterThanOrEqual(moment.synced);
  const prefix = moment.commits.filter((commit) => commit.version <= found);
  expect(store.contents(), moment.label).toEqual(replayed(prefix));
  store.engine.verify();
  const highest = Math.max(0, ...moment.commits.map((commit) => commit.version));
  expect(store.version, moment.label).toBeGreaterThanOrEqual(highest);
  await store.save("after the crash", "c");
  storage.powerCut();
  const again = await MiniStore.open(storage.restart());
  expect(again.contents(), moment.label).toEqual(replayed(store.written, replayed(prefix)));
  await again.close();
}

async function checkAll(moments: readonly Moment[], imagesEach: number): Promise<number> {
  const seen = new Set<string>();
  let checked = 0;
  for (const moment of moments) {
    for (const image of moment.disk.durableImages(imagesEach)) {
      const mark = `${image.fingerprint()} ${moment.synced} ${moment.commits.length}`;
      if (seen.has(mark)) continue;
      seen.add(mark);
      await check(moment, image);
      checked++;
    }
  }
  return checked;
}

const PROFILES: DiskProfile[] = ["posix-strict", "ext4-like"];

describe.each(PROFILES)("a power cut on a %s disk", (profile) => {
  test("T-WAL-04, T-WAL-05: at every step of the first open", async () => {
    const storage = machine({ profile });
    const { moments, follow } = record(storage.disk);
    const store = await MiniStore.open(storage.runtime);
    follow(store);
    await store.save("a", "1");
    await store.close();
    expect(await checkAll(moments, 24)).toBeGreaterThan(15);
  }, 600_000);

  test("T-DUR-02, T-DUR-01: at every step of commits, group commits and rotation", async () => {
    const storage = machine({ profile });
    await (await MiniStore.open(storage.runtime)).close();
    const { moments, follow } = record(storage.disk);
    const store = await MiniStore.open(storage.restart());
    follow(store);
    for (let i = 0; i < 14; i++) {
      store.put(`k${i % 5}`, `${i} ${"x".repeat(300)}`);
      store.put(`k${i % 3}`, i % 4 === 0 ? undefined : `second ${i}`);
      store.log.want(i % 3 === 0 ? "logged" : "synced");
      await store.until(() => (i % 3 === 0 ? store.loggedVersion : store.syncedVersion) >= store.version);
      for (let turns = 0; turns < 3; turns++) await store.runtime.timers.turn();
    }
    expect(store.directory.status().segments).toBeGreaterThan(1);
    await store.close();
    expect(await checkAll(moments, 6)).toBeGreaterThan(50);
  }, 600_000);

  test("T-SNAP-04, T-SNAP-05, T-SNAP-06, T-REC-06: at every step of checkpoints with writers", async () => {
    const storage = machine({ profile });
    const first = await MiniStore.open(storage.runtime);
    for (let i = 0; i < 6; i++) await first.save(`old ${i}`, "y".repeat(700));
    await first.close();
    const { moments, follow } = record(storage.disk, first.written);
    const store = await MiniStore.open(storage.restart());
    follow(store);
    for (let round = 0; round < 2; round++) {
      await store.save(`round ${round}`, "z".repeat(3000));
      const done = store.checkpoint();
      store.put("during", `round ${round}`);
      store.log.want("logged");
      await done;
      await store.save("behind", `round ${round}`);
    }
    await store.close();
    expect(await checkAll(moments, 8)).toBeGreaterThan(profile === "posix-strict" ? 50 : 30);
  }, 600_000);

  test("T-SNAP-04, T-SNAP-06: at every step of checkpoints that begin a segment, with writers", async () => {
    const storage = machine({ profile });
    const first = await MiniStore.open(storage.runtime);
    await first.save("old", "y".repeat(3000));
    await first.close();
    const { moments, follow } = record(storage.disk, first.written);
    const store = await MiniStore.open(storage.restart());
    follow(store);
    for (let round = 0; round < 3; round++) {
      await store.save(`round ${round}`, "z".repeat(700));
      if (round === 1) store.put("before", "logged with the opening");
      const started = store.directory.startSegment();
      if (round === 2) store.put("beside", "in the new segment, or before it");
      await started;
      const done = store.checkpoint();
      if (round !== 1) store.put("during", `round ${round}`);
      await done;
      // Whatever the writers do meanwhile: what stands before it is let go of.
      expect(store.directory.status().segments).toBe(1);
    }
    await store.close();
    expect(await checkAll(moments, 8)).toBeGreaterThan(profile === "posix-strict" ? 50 : 30);
  }, 600_000);

  test("T-WAL-09: at every step of a rotation into a recycled segment", async () => {
    const storage = machine({ profile });
    const first = await MiniStore.open(storage.runtime);
    const fill = async (store: MiniStore, key: string): Promise<void> => {
      await store.save(key, "y".repeat(900));
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    };
    for (let i = 0; i < 14; i++) await fill(first, `k${i}`);
    expect(first.directory.status().segments).toBeGreaterThan(2);
    await first.checkpoint();
    const { moments, follow } = record(storage.disk);
    follow(first);
    for (let i = 0; i < 12; i++) await fill(first, `k${i % 3}`);
    const recycled = filesOf(storage, ".log").filter(([, bytes]) => bytes[12] === RECYCLED);
    expect(recycled.length).toBeGreaterThan(0);
    const salts = filesOf(storage, ".log").map(([, bytes]) => bytes.slice(24, 32).join(" "));
    expect(new Set(salts).size).toBe(salts.length);
    expect(await checkAll(moments, 6)).toBeGreaterThan(20);
  }, 600_000);

  test("T-SNAP-06: a segment whose first record is not synced is not where the log begins", async () => {
    const storage = machine({ profile });
    const store = await MiniStore.open(storage.runtime);
    // The next segment is made when the first is half full, and taken by what does not fit into that any more.
    while (filesOf(storage, ".log").filter(([path]) => path.endsWith(".log")).length < 2) {
      await store.save("k", `${store.version} ${"y".repeat(900)}`);
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    }
    const synced = store.syncedVersion;
    store.put("k", `logged only ${"z".repeat(3000)}`);
    store.log.want("logged");
    await store.until(() => store.loggedVersion === store.version);
    expect([store.directory.status().segments, store.syncedVersion]).toEqual([2, synced]);
    await store.checkpoint();
    const moment = {
      label: "after the checkpoint",
      disk: storage.disk.fork(),
      commits: store.written,
      synced,
    };
    expect(await checkAll([moment], 32)).toBeGreaterThan(1);
  });

  test("T-WAL-06: at every step of a refusal on a full disk", async () => {
    const storage = machine({ profile });
    await (await MiniStore.open(storage.runtime)).close();
    const { moments, follow } = record(storage.disk);
    const store = await MiniStore.open(storage.restart());
    follow(store);
    await store.save("a", "1");
    storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 130, code: "ENOSPC" });
    store.put("b", "refused or not");
    store.put("c", "x".repeat(200));
    store.put("d", "refused");
    store.log.want("synced");
    await store.until(() => store.refusalsDurable === 1);
    await store.save("e", "accepted again");
    await store.close();
    expect(await checkAll(moments, 12)).toBeGreaterThan(10);
  }, 600_000);

  test("T-REC-09: at every step of a recovery that has something to cut", async () => {
    const storage = machine({ profile });
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    for (let i = 0; i < 14; i++) {
      first.put(`later ${i}`, "x".repeat(700));
      first.log.want("logged");
      await first.until(() => first.loggedVersion === first.version);
      for (let turns = 0; turns < 3; turns++) await first.runtime.timers.turn();
    }
    let checked = 0;
    for (const image of storage.disk.durableImages(60)) {
      const inner = machineOn(image);
      const { moments } = record(image, []);
      const found = await MiniStore.open(inner.runtime);
      const survivors = first.written.filter((commit) => commit.version <= found.engine.version);
      const expected = moments.map((moment) => ({
        ...moment,
        commits: survivors,
        synced: survivors.at(-1)?.version ?? 0,
      }));
      image.onOperation = undefined;
      checked += await checkAll(expected, 4);
    }
    storage.disk.onOperation = undefined;
    expect(checked).toBeGreaterThan(profile === "posix-strict" ? 40 : 5);
  }, 600_000);
});
