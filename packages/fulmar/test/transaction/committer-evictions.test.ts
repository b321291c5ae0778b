import { describe, expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { OWN_PREFIX } from "../../src/keys/key.js";
import { LATEST, type Ref } from "../../src/memory/engine.js";
import { readCommit } from "../../src/record/commit.js";
import { EVICTED, EXPIRED, entryLength, flagsOf, keyOf, seqOf, TOMBSTONE } from "../../src/record/entry.js";
import type { EvictionGoal, WantedChange } from "../../src/transaction/memory-limit.js";
import { committerFixture, covering, deletion, key, PEER, setting, stateOf } from "./fixture.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");
const FULL = new FulmarError("MEMORY_FULL", "it does not fit");
const ROOM: EvictionGoal = { bytes: undefined, entries: 10 };

/** A committer whose memory is full when the test says so: then the keys named go for the next commit. */
function fullFixture() {
  const wanted: (readonly WantedChange[])[] = [];
  const goals: EvictionGoal[] = [];
  const givenBack: (readonly Ref[])[] = [];
  const full = { isOver: false, victims: [] as string[] };
  const victims = (): Ref[] => full.victims.splice(0).map((name) => fixture.engine.find(key(name), LATEST));
  const fixture = committerFixture({
    memoryLimit: {
      admit: (changes) => {
        wanted.push(changes);
        if (full.isOver) throw FULL;
        return victims();
      },
      choose: (goal) => {
        goals.push(goal);
        return victims();
      },
      giveBack: (refs) => givenBack.push(refs),
    },
  });
  const { committer, log, origins } = fixture;
  /** Each name as a key that is there, logged and synced. */
  const fill = (...names: string[]): void => {
    for (const name of names) void committer.commit([setting(name, name)], "memory");
    log.log();
    log.sync();
    wanted.length = 0;
    log.wants.length = 0;
  };
  /** The entries of the newest record of the log. */
  const lastEntries = (): { key: Uint8Array; flags: number; seq: number }[] => {
    const bytes = log.records.at(-1)?.bytes ?? new Uint8Array(0);
    const commit = readCommit(bytes, 0, bytes.length, origins.size);
    let at = commit?.entriesAt ?? 0;
    return Array.from({ length: commit?.entryCount ?? 0 }, () => {
      const entry = { key: keyOf(bytes, at).slice(), flags: flagsOf(bytes, at), seq: seqOf(bytes, at) };
      at += entryLength(bytes, at);
      return entry;
    });
  };
  return { ...fixture, full, wanted, goals, givenBack, fill, lastEntries };
}

describe("a commit for which keys have to go", () => {
  test("is one with their tombstones in front, in memory, log and notice, and counts what went", () => {
    const { committer, log, engine, full, wanted, fill, lastEntries, published, read, told } = fullFixture();
    fill("a", "b", "c");
    const bytes = ["a", "c"].reduce((sum, name) => sum + engine.bytesOf(engine.find(key(name), LATEST)), 0);
    full.victims = ["a", "c"];
    told.length = 0;
    void committer.commit([setting("d", "new")], "relaxed");
    expect(wanted).toEqual([[{ key: key("d"), entryBytes: expect.any(Number), isDeletion: false }]]);
    expect(["a", "b", "c", "d"].map((name) => read(name))).toEqual([undefined, "b", undefined, "new"]);
    expect(lastEntries()).toEqual([
      { key: key("a"), flags: TOMBSTONE | EVICTED, seq: 1 },
      { key: key("c"), flags: TOMBSTONE | EVICTED, seq: 3 },
      { key: key("d"), flags: 0, seq: 4 },
    ]);
    expect(committer.evicted).toEqual({ entries: 2, bytes });
    expect(told).toEqual(["evicted"]);
    log.log();
    expect(published.at(-1)).toEqual({
      version: 4,
      remote: false,
      keys: ["a", "c", "d"].map((name) => key(name)),
    });
    expect(log.records.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  });

  test("is asked to be logged also where only memory has to have it, which it is acknowledged for", async () => {
    const { committer, log, full, fill } = fullFixture();
    fill("a");
    full.victims = ["a"];
    const done = committer.commit([setting("b", "1")], "memory");
    expect(log.wants).toEqual(["logged"]);
    expect(await stateOf(done)).toBe("resolved");
    full.victims = ["b"];
    void committer.commit([setting("c", "1")], "full");
    expect(log.wants).toEqual(["logged", "synced"]);
    void committer.commit([setting("d", "1")], "memory");
    expect(log.wants).toEqual(["logged", "synced"]);
  });

  test("says of keys whose deadline has passed that they expired, at the deadline already", () => {
    const { committer, full, fill, lastEntries, wall } = fullFixture();
    fill("a");
    void committer.commit([setting("b", "1", wall.ms + 10), setting("c", "1", wall.ms + 11)], "memory");
    wall.ms += 10;
    full.victims = ["a", "b", "c"];
    void committer.commit([setting("d", "1")], "memory");
    expect(lastEntries().map(({ flags }) => flags)).toEqual([
      TOMBSTONE | EVICTED,
      TOMBSTONE | EXPIRED,
      TOMBSTONE | EVICTED,
      0,
    ]);
  });

  test("is refused with nothing changed where nothing may go, and gets no numbers", () => {
    const { committer, log, full, fill, read } = fullFixture();
    fill("a");
    full.isOver = true;
    expect(() => committer.commit([setting("b", "1")], "full")).toThrow(FULL);
    expect([committer.lastVersion, committer.seq, read("b"), log.records.length]).toEqual([
      1,
      1,
      undefined,
      1,
    ]);
  });

  test("gives its victims back when there is no memory for it, and counts nothing", () => {
    const { committer, engine, log, full, fill, givenBack, read } = fullFixture();
    fill("a");
    const ref = engine.find(key("a"), LATEST);
    const put = engine.put.bind(engine);
    engine.put = () => {
      throw new RangeError("Array buffer allocation failed");
    };
    full.victims = ["a"];
    expect(() => committer.commit([setting("b", "1")], "full")).toThrow("allocation failed");
    expect(givenBack).toEqual([[ref]]);
    expect(committer.evicted).toEqual({ entries: 0, bytes: 0 });
    engine.put = put;
    void committer.commit([setting("b", "1")], "full");
    expect([read("a"), read("b"), log.records.length]).toEqual(["a", "1", 2]);
  });

  test("brings them back when the log refuses it", async () => {
    const { committer, log, full, fill, read } = fullFixture();
    fill("a");
    full.victims = ["a"];
    const refused = committer.commit([setting("b", "1")], "relaxed");
    log.refuse(1, DISK_FULL);
    committer.refusalDurable();
    await expect(refused).rejects.toBe(DISK_FULL);
    expect([read("a"), read("b")]).toEqual(["a", undefined]);
  });

  test("may be a merge, which wants room for what wins alone", () => {
    const { committer, log, full, fill, wanted, foreign, clock, read } = fullFixture();
    fill("a", "b");
    full.victims = ["a"];
    const pages = [foreign(PEER, 1, clock.next(), "c", "peer"), foreign(PEER, 2, 1, "b", "stale")];
    void committer.merge(pages, covering(PEER, 2));
    expect(wanted).toEqual([[{ key: key("c"), entryBytes: pages[0].length, isDeletion: false }]]);
    expect([read("a"), read("b"), read("c")]).toEqual([undefined, "b", "peer"]);
    expect(log.wants).toEqual(["synced"]);
    expect(committer.evicted.entries).toBe(1);
  });

  test("tells of deletions that they make room, and of none of the store's own keys", () => {
    const { committer, fill, wanted } = fullFixture();
    fill("a");
    const own = { ...setting("x", "1"), key: Uint8Array.of(OWN_PREFIX, 1) };
    void committer.commit([deletion("a"), own], "memory");
    expect(wanted).toEqual([[{ key: key("a"), entryBytes: expect.any(Number), isDeletion: true }]]);
  });
});

describe("evict", () => {
  test("removes what is chosen in one commit that survives the process, and says how much that was", async () => {
    const { committer, engine, log, full, goals, fill, read, lastEntries } = fullFixture();
    fill("a", "b", "c");
    const bytes = engine.bytesOf(engine.find(key("b"), LATEST));
    full.victims = ["b"];
    const first = committer.evict(ROOM);
    expect(goals).toEqual([ROOM]);
    expect({ entries: first.entries, bytes: first.bytes }).toEqual({ entries: 1, bytes });
    expect(lastEntries()).toEqual([{ key: key("b"), flags: TOMBSTONE | EVICTED, seq: 2 }]);
    expect([log.wants, read("b"), committer.lastVersion, committer.seq]).toEqual([
      ["logged"],
      undefined,
      4,
      3,
    ]);
    expect(await stateOf(first.done)).toBe("pending");
    log.log();
    expect(await stateOf(first.done)).toBe("resolved");
    full.victims = ["a", "c"];
    expect(committer.evict(ROOM)).toMatchObject({ entries: 2, bytes: 2 * bytes });
    expect(committer.evicted).toEqual({ entries: 3, bytes: 3 * bytes });
  });

  test("commits nothing when there is nothing to remove, with or without a limit", async () => {
    const { committer, log, fill } = fullFixture();
    fill("a");
    const nothing = committer.evict(ROOM);
    expect({ entries: nothing.entries, bytes: nothing.bytes }).toEqual({ entries: 0, bytes: 0 });
    expect(await stateOf(nothing.done)).toBe("resolved");
    expect([log.records.length, committer.lastVersion]).toEqual([1, 1]);
    const { committer: unlimited } = committerFixture();
    expect(unlimited.evict(ROOM)).toMatchObject({ entries: 0, bytes: 0 });
  });

  test("is refused once the store failed", () => {
    const { committer, full, goals, fill } = fullFixture();
    fill("a");
    committer.failed(DISK_FULL);
    full.victims = ["a"];
    expect(() => committer.evict(ROOM)).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
    expect(goals).toEqual([]);
  });
});
