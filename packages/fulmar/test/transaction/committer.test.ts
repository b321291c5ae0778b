import { describe, expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { readCommit } from "../../src/record/commit.js";
import { Coverage } from "../../src/record/coverage.js";
import { committerFixture, covering, OTHER, OWN, PEER, setting, stateOf } from "./fixture.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");
const UNKNOWN = new FulmarError("DURABILITY_UNKNOWN", "a sync failed");

describe("acknowledgement", () => {
  test("each level resolves exactly when the log is so far, and memory shows the write at once", async () => {
    const { committer, log, read } = committerFixture();
    const memory = committer.commit([setting("a", "1")], "memory");
    const relaxed = committer.commit([setting("b", "2")], "relaxed");
    const full = committer.commit([setting("c", "3")], "full");
    expect([read("a"), read("b"), read("c")]).toEqual(["1", "2", "3"]);
    expect(await stateOf(memory)).toBe("resolved");
    expect(await stateOf(relaxed)).toBe("pending");
    log.log(2);
    expect(await stateOf(relaxed)).toBe("resolved");
    log.log(3);
    expect(await stateOf(full)).toBe("pending");
    log.sync(3);
    expect(await full).toEqual({ version: 3, stamp: { hlc: expect.any(Number), origin: OWN, seq: 3 } });
  });

  test("the log is asked for what is waited for, and no more", () => {
    const { committer, log } = committerFixture();
    void committer.commit([setting("a", "1")], "memory");
    expect(log.wants).toEqual([]);
    void committer.commit([setting("a", "1")], "relaxed");
    expect(log.wants).toEqual(["logged"]);
    void committer.commit([setting("a", "1")], "full");
    expect(log.wants).toEqual(["logged", "synced"]);
  });

  test("flush waits for everything so far, and for nothing later", async () => {
    const { committer, log } = committerFixture();
    void committer.commit([setting("a", "1")], "relaxed");
    const flushed = committer.flush();
    void committer.commit([setting("b", "1")], "relaxed");
    log.log(2);
    log.sync(1);
    expect(await stateOf(flushed)).toBe("resolved");
  });
});

describe("publication", () => {
  test("commits are shown in order, each only when it is as durable as it asked for", () => {
    const { committer, log, published } = committerFixture();
    void committer.commit([setting("a", "1")], "relaxed");
    void committer.commit([setting("b", "2")], "full");
    void committer.commit([setting("c", "3")], "memory");
    expect(published).toEqual([]);
    log.log(3);
    expect(published.map((notice) => notice.version)).toEqual([1]);
    log.sync(2);
    expect(published.map((notice) => notice.version)).toEqual([1, 2, 3]);
  });

  test("settling follows publication, so that what nobody outside saw can still be taken back", () => {
    const { committer, log, engine } = committerFixture();
    void committer.commit([setting("a", "1")], "full");
    log.log();
    expect(engine.settled).toBe(0);
    log.sync();
    expect(engine.settled).toBe(1);
  });
});

test("T-WAL-07: after a failed sync waiting commits are unknown, memory still reads, writes are refused", async () => {
  const { committer, log, read, failures } = committerFixture();
  const unknown = committer.commit([setting("a", "1")], "full");
  log.log();
  committer.failed(UNKNOWN);
  await expect(unknown).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
  expect(read("a")).toBe("1");
  expect(() => committer.commit([setting("a", "2")], "memory")).toThrow(
    expect.objectContaining({ code: "STORE_FAILED" }),
  );
  expect(read("a")).toBe("1");
  await expect(committer.flush()).rejects.toMatchObject({ code: "DURABILITY_UNKNOWN" });
  expect(failures).toHaveLength(1);
});

test.each([1, 5])(
  "a commit that memory cannot take leaves nothing of itself, and the store takes no more: after %i",
  async (fitting) => {
    const { committer, engine, read } = committerFixture();
    void committer.commit([setting("a", "1")], "memory");
    const put = engine.put.bind(engine);
    let left = fitting;
    engine.put = (...entry) => {
      if (left-- === 0) throw new RangeError("out of memory");
      put(...entry);
    };
    const failed = expect.objectContaining({ code: "STORE_FAILED" });
    const names = ["a", "b", "c", "d", "e", "f"].slice(0, fitting + 1);
    const writes = names.map((name) => setting(name, "2"));
    expect(() => committer.commit(writes, "full")).toThrow(failed);
    expect(names.map((name) => read(name))).toEqual(names.map((name) => (name === "a" ? "1" : undefined)));
    expect(() => committer.commit([setting("a", "3")], "memory")).toThrow(failed);
    await expect(committer.flush()).rejects.toMatchObject({ code: "STORE_FAILED" });
  },
);

test("a commit that memory can neither take nor take back fails the store, by its first error", () => {
  const { committer, engine, failures } = committerFixture();
  const out = (what: string) => () => {
    throw new RangeError(what);
  };
  engine.put = out("no memory to write");
  engine.rollback = out("no memory to go back");
  const failed = expect.objectContaining({ code: "STORE_FAILED" });
  expect(() => committer.commit([setting("a", "1")], "memory")).toThrow(failed);
  expect(() => committer.commit([setting("b", "1")], "memory")).toThrow(failed);
  expect(failures).toMatchObject([{ cause: { message: "no memory to write" } }]);
});

test("a commit that the log cannot take any more fails the store, is not seen, and whoever waits is told", async () => {
  const { committer, log, failures, read } = committerFixture();
  const waiting = committer.commit([setting("a", "1")], "full");
  log.end = () => {
    throw new RangeError("a bug");
  };
  const failed = expect.objectContaining({ code: "STORE_FAILED" });
  expect(() => committer.commit([setting("b", "1")], "full")).toThrow(failed);
  await expect(waiting).rejects.toEqual(failed);
  await expect(committer.flush()).rejects.toEqual(failed);
  expect(() => committer.commit([setting("c", "1")], "memory")).toThrow(failed);
  expect(failures).toEqual([expect.objectContaining({ cause: expect.any(RangeError) })]);
  expect([read("a"), read("b")]).toEqual(["1", undefined]);
});

describe("merge", () => {
  test("the greater stamp wins, whichever comes first, and what loses changes nothing", async () => {
    const { committer, log, foreign, clock, read } = committerFixture();
    const hlc = clock.next();
    const merge = async (page: Uint8Array, upTo: number) => {
      const done = committer.merge([page], covering(PEER, upTo));
      log.log();
      log.sync();
      return done;
    };
    expect(await merge(foreign(PEER, 2, hlc + 5, "k", "late"), 0)).toMatchObject({ applied: 1, stale: 0 });
    expect(await merge(foreign(PEER, 1, hlc, "k", "early"), 0)).toMatchObject({ applied: 0, stale: 1 });
    expect(read("k")).toBe("late");
    expect(await merge(foreign(PEER, 3, hlc + 9, "k", undefined), 3)).toMatchObject({ applied: 1 });
    expect(read("k")).toBeUndefined();
  });

  test("equal times are decided by the writer's identity, as everywhere", async () => {
    const { committer, foreign, clock, read } = committerFixture();
    const hlc = clock.next();
    void committer.merge([foreign(OTHER, 1, hlc, "k", "other")], new Coverage());
    void committer.merge([foreign(PEER, 1, hlc, "k", "peer")], new Coverage());
    expect(read("k")).toBe("other");
  });

  test("T-CLK-01: a local write is stamped above the version that it replaces, however far ahead that is", async () => {
    const { committer, log, foreign, clock, wall, read } = committerFixture();
    clock.observe(clock.next());
    const ahead = clock.next() + 50_000 * 4096;
    void committer.merge([foreign(PEER, 1, ahead, "k", "peer")], covering(PEER, 1));
    wall.ms -= 100_000;
    const local = committer.commit([setting("k", "local")], "relaxed");
    log.log();
    expect((await local).stamp.hlc).toBeGreaterThan(ahead);
    expect(read("k")).toBe("local");
  });

  test("T-CLK-02: a commit from the far future is a hole; others, also of the same page, are merged", async () => {
    const { committer, log, foreign, clock, read } = committerFixture();
    const now = clock.next();
    const pages = [
      foreign(PEER, 1, now, "a", "1"),
      foreign(PEER, 2, now + 61_000 * 4096, "b", "2"),
      foreign(PEER, 3, now + 1, "c", "3"),
      foreign(OTHER, 1, now + 2, "d", "4"),
    ];
    const adds = covering(PEER, 3);
    adds.set(OTHER, { upTo: 1, holes: [] });
    const done = committer.merge(pages, adds);
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: 3, refused: [{ origin: PEER, seq: 2, reason: "ahead" }] });
    expect([read("a"), read("b"), read("c"), read("d")]).toEqual(["1", undefined, "3", "4"]);
    expect(committer.syncedCoverage.of(PEER)).toEqual({ upTo: 3, holes: [{ from: 2, to: 2 }] });
    expect(committer.syncedCoverage.covers(OTHER, 1)).toBe(true);
    expect(clock.last).toBeLessThan(now + 61_000 * 4096);
  });

  test("a commit with one refused entry is refused whole", async () => {
    const { committer, log, foreign, clock, read } = committerFixture({ limits: { valueBytesMax: 4 } });
    const hlc = clock.next();
    const pages = [foreign(PEER, 1, hlc, "x", "ok"), foreign(PEER, 1, hlc, "y", "too long")];
    const done = committer.merge(pages, covering(PEER, 1));
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: 0, refused: [{ seq: 1, reason: "too-large" }] });
    expect([read("x"), read("y")]).toEqual([undefined, undefined]);
    expect(committer.syncedCoverage.covers(PEER, 1)).toBe(false);
  });

  test("T-ID-05: one number with two contents is refused, in one merge and across merges", async () => {
    const { committer, foreign, clock, read } = committerFixture();
    const hlc = clock.next();
    void committer.merge([foreign(PEER, 1, hlc, "k", "first")], covering(PEER, 1));
    const forgeries = [foreign(PEER, 1, hlc, "k", "second"), foreign(PEER, 1, hlc + 7, "other", "third")];
    for (const forged of forgeries) {
      const plan = committer.merge([forged], new Coverage());
      void plan.catch(() => undefined);
    }
    expect(read("k")).toBe("first");
    expect(read("other")).toBeUndefined();
  });

  test("T-SNAP-01: a value that does not match its checksum is refused, and so is a key of no store", async () => {
    const { committer, log, foreign, clock, read } = committerFixture();
    const flipped = foreign(PEER, 1, clock.next(), "a", "value");
    flipped[flipped.length - 1] ^= 1;
    const strange = foreign(PEER, 2, clock.next(), "b", "value");
    strange[strange.indexOf("b".charCodeAt(0))] = 0xff;
    const done = committer.merge([flipped, strange], covering(PEER, 2));
    log.log();
    log.sync();
    const damaged = (seq: number) => ({ origin: PEER, seq, reason: "damaged" });
    expect(await done).toMatchObject({ applied: 0, refused: [damaged(1), damaged(2)] });
    expect([read("a"), read("b")]).toEqual([undefined, undefined]);
  });

  test("T-SEC-ACK: a number of our own that we never gave out is refused", async () => {
    const { committer, log, foreign, clock, read } = committerFixture();
    const done = committer.merge([foreign(OWN, 9, clock.next(), "k", "forged")], new Coverage());
    log.log();
    log.sync();
    expect(await done).toMatchObject({ applied: 0, refused: [{ origin: OWN, seq: 9, reason: "forged" }] });
    expect(read("k")).toBeUndefined();
  });

  test("of two versions of a key in one merge only the winner is logged", async () => {
    const { committer, log, foreign, clock, read, origins } = committerFixture();
    const hlc = clock.next();
    const pages = [foreign(PEER, 2, hlc + 2, "k", "new"), foreign(PEER, 1, hlc, "k", "old")];
    void committer.merge(pages, covering(PEER, 2));
    const record = log.records[0].bytes;
    expect(readCommit(record, 0, record.length, origins.size)?.entryCount).toBe(1);
    expect(read("k")).toBe("new");
  });

  test("synced coverage never runs ahead of the log", () => {
    const { committer, log, foreign, clock } = committerFixture();
    void committer.merge([foreign(PEER, 1, clock.next(), "k", "v")], covering(PEER, 1));
    log.log();
    expect(committer.syncedCoverage.covers(PEER, 1)).toBe(false);
    log.sync();
    expect(committer.syncedCoverage.covers(PEER, 1)).toBe(true);
  });
});

describe("replication keeps un-synced state apart", () => {
  test("own commits are covered once synced, and a cut of the synced version misses later ones", async () => {
    const { committer, log, read } = committerFixture();
    await committer.beginReplication();
    void committer.commit([setting("k", "1")], "relaxed");
    log.log();
    log.sync();
    void committer.commit([setting("k", "2")], "relaxed");
    log.log();
    expect(committer.syncedCoverage.of(OWN).upTo).toBe(1);
    const pin = committer.pin(committer.syncedVersion);
    expect([read("k", pin.version), read("k")]).toEqual(["1", "2"]);
    pin.release();
    log.sync();
    expect(committer.syncedCoverage.of(OWN).upTo).toBe(2);
  });

  test("T-ID-04: every commit asks for its sync, whatever its level", async () => {
    const { committer, log } = committerFixture();
    await committer.beginReplication();
    log.wants.length = 0;
    void committer.commit([setting("k", "1")], "memory");
    expect(log.wants).toEqual(["synced"]);
  });
});

describe("expiry", () => {
  test("T-TTL-05: a sweep keeps the stamp, changes no digest input, and watchers hear of it", () => {
    const { committer, log, engine, wall, read, published } = committerFixture();
    void committer.commit([setting("k", "v", wall.ms + 1000)], "relaxed");
    const before = engine.digest({ from: new Uint8Array(0), to: undefined }, 1);
    log.log();
    engine.keepTombstones = true;
    expect(committer.sweep(10)).toBe(0);
    wall.ms += 1000;
    expect(committer.sweep(10)).toBe(1);
    log.log();
    expect(read("k")).toBeUndefined();
    expect(published.map((notice) => notice.version)).toEqual([1, 2]);
    expect(engine.digest({ from: new Uint8Array(0), to: undefined }, 2)).toEqual(before);
    expect(committer.sweep(10)).toBe(0);
  });
});

test("replication that could not begin begins at the second attempt, with what was there before", async () => {
  const { committer, log } = committerFixture();
  void committer.commit([setting("a", "1")], "memory");
  log.log();
  log.sync();
  const refused = committer.commit([setting("a", "2")], "full").catch((error: Error) => error);
  const first = committer.beginReplication().catch((error: Error) => error);
  log.refuse(1, DISK_FULL);
  committer.refusalDurable();
  expect(await Promise.all([refused, first])).toEqual([DISK_FULL, DISK_FULL]);
  await committer.beginReplication();
  expect(committer.syncedCoverage.covers(OWN, 1)).toBe(true);
});

test("an empty commit is one like any other: refused with the others, and followed by a flush", async () => {
  const { committer, log, engine } = committerFixture();
  const logged = committer.commit([setting("a", "1")], "relaxed");
  log.log();
  await logged;
  const empty = committer.commit([], "full").catch((error: Error) => error);
  const flushed = committer.flush().catch((error: Error) => error);
  log.refuse(1, DISK_FULL);
  committer.refusalDurable();
  expect(await Promise.all([empty, flushed])).toEqual([DISK_FULL, DISK_FULL]);
  const second = committer.commit([], "full");
  log.log();
  log.sync();
  expect((await second).version).toBe(engine.version);
});
