import { describe, expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { readCommit } from "../../src/record/commit.js";
import { Coverage } from "../../src/record/coverage.js";
import { committerFixture, covering, deletion, key, OWN, PEER, setting, stateOf } from "./fixture.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");
const UNKNOWN = new FulmarError("DURABILITY_UNKNOWN", "a sync failed");

describe("numbers", () => {
  test("say what was given out, what was not refused, logged, synced and shown", async () => {
    const { committer, log } = committerFixture();
    const numbers = () => {
      const { lastVersion, newestVersion, loggedVersion, publishedVersion, syncedVersion, seq } = committer;
      return [lastVersion, newestVersion, loggedVersion, publishedVersion, syncedVersion, seq];
    };
    expect(numbers()).toEqual([0, 0, 0, 0, 0, 0]);
    void committer.commit([setting("a", "1")], "relaxed");
    void committer.commit([setting("a", "2")], "full");
    expect(numbers()).toEqual([2, 2, 0, 0, 0, 2]);
    log.log();
    expect(numbers()).toEqual([2, 2, 2, 1, 0, 2]);
    log.sync();
    expect(numbers()).toEqual([2, 2, 2, 2, 2, 2]);
    const refused = committer.commit([setting("a", "3")], "relaxed");
    log.refuse(2, DISK_FULL);
    committer.refusalDurable();
    await expect(refused).rejects.toBe(DISK_FULL);
    expect(numbers()).toEqual([3, 2, 2, 2, 2, 3]);
    committer.refused(5, DISK_FULL);
    expect(committer.newestVersion).toBe(2);
  });

  test("are those of a log, of which there is one", () => {
    const { committer, log } = committerFixture();
    expect(() => committer.attach(log)).toThrow("one log for one committer");
  });
});

describe("outcomes", () => {
  test("are made of the commit's numbers, at once", async () => {
    const { committer, log } = committerFixture();
    const seen: number[] = [];
    const done = committer.commit([setting("a", "1")], "relaxed", ({ version, stamp }) => {
      seen.push(version, stamp.seq);
      return "an outcome";
    });
    expect(seen).toEqual([1, 1]);
    log.log();
    expect(await done).toBe("an outcome");
    expect(await committer.commit([setting("a", "2")], "memory", ({ version }) => version)).toBe(2);
  });
});

describe("who listens", () => {
  test("hears of what may be vacuumed after a pin, a settled commit and a refusal, once each", () => {
    const { committer, log, told } = committerFixture();
    committer.pin(0).release();
    expect(told).toEqual(["letGo"]);
    void committer.commit([setting("a", "1")], "relaxed");
    log.log();
    expect(told.splice(0)).toEqual(["letGo", "published", "letGo"]);
    log.sync();
    expect(told.splice(0)).toEqual(["synced"]);
    committer.commit([setting("a", "2")], "relaxed").catch(() => undefined);
    log.refuse(1, DISK_FULL);
    expect(told.splice(0)).toEqual(["letGo", "refused"]);
  });

  test("finds memory as it was when it hears of a refusal, and may write", async () => {
    const { committer, log, when, read } = committerFixture();
    committer.commit([setting("a", "1")], "relaxed").catch(() => undefined);
    let next: Promise<unknown> | undefined;
    when.refused = () => {
      expect(read("a")).toBeUndefined();
      next = committer.commit([setting("a", "2")], "relaxed");
    };
    log.refuse(0, DISK_FULL);
    log.log();
    expect([await stateOf(next ?? Promise.resolve()), read("a")]).toEqual(["resolved", "2"]);
  });

  test("may write when commits are shown: what that adds is shown after them, and settled", () => {
    const { committer, log, when, published, engine, told } = committerFixture();
    let left = 2;
    when.published = () => {
      if (left-- === 0) return;
      void committer.commit([setting("b", `${left}`)], "relaxed");
      log.log();
      expect(engine.settled).toBe(0);
    };
    void committer.commit([setting("a", "1")], "relaxed");
    log.log();
    expect(published.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(told).toEqual(["published", "published", "published", "letGo"]);
    expect(engine.settled).toBe(3);
  });

  test("that throws does not keep later commits from being shown", () => {
    const { committer, log, when, published } = committerFixture();
    when.published = () => {
      throw new TypeError("a listener's");
    };
    void committer.commit([setting("a", "1")], "relaxed");
    expect(() => log.log()).toThrow("a listener's");
    when.published = undefined;
    void committer.commit([setting("a", "2")], "relaxed");
    log.log();
    expect(published.map(({ version }) => version)).toEqual([1, 2]);
  });

  test("is asked whether it wants to hear of a commit, and told of none that it does not", () => {
    const { committer, log, published } = committerFixture();
    const asked: string[][] = [];
    committer.interest = (changed) => {
      asked.push(changed.map((change) => new TextDecoder().decode(change.key)));
      return asked.length === 2;
    };
    for (const name of ["a", "b", "c"]) void committer.commit([setting(name, "1"), deletion("x")], "relaxed");
    log.log();
    expect(asked).toEqual(["a", "b", "c"].map((name) => [name, "x"]));
    expect(published).toEqual([{ version: 2, remote: false, keys: [key("b"), key("x")] }]);
    committer.interest = undefined;
    void committer.commit([setting("d", "1")], "relaxed");
    log.log();
    expect(published).toHaveLength(1);
  });

  test("hears of one failure, the first", async () => {
    const { committer, failures } = committerFixture();
    const waiting = committer.commit([setting("a", "1")], "full");
    committer.failed(UNKNOWN);
    committer.failed(DISK_FULL);
    expect([failures, committer.failure]).toEqual([[UNKNOWN], UNKNOWN]);
    await expect(waiting).rejects.toBe(UNKNOWN);
  });
});

describe("the trail", () => {
  test("has the keys of commits while somebody follows, without those that were refused", () => {
    const { committer, log } = committerFixture();
    void committer.commit([setting("a", "1")], "relaxed");
    committer.trail.follow(1);
    void committer.commit([setting("b", "1"), setting("c", "1")], "relaxed");
    log.log();
    committer.commit([setting("d", "1")], "relaxed").catch(() => undefined);
    expect(committer.trail.since(1, 10)).toEqual([key("d"), key("b"), key("c")]);
    log.refuse(2, DISK_FULL);
    expect(committer.trail.since(1, 10)).toEqual([key("b"), key("c")]);
    committer.trail.leave();
    void committer.commit([setting("e", "1")], "relaxed");
    committer.trail.follow(4);
    expect(committer.trail.since(4, 10)).toEqual([]);
  });
});

describe("flush", () => {
  test("asks for a sync only when something is not synced", async () => {
    const { committer, log } = committerFixture();
    expect(await stateOf(committer.flush())).toBe("resolved");
    expect(log.wants).toEqual([]);
    void committer.commit([setting("a", "1")], "memory");
    const flushed = committer.flush();
    expect(log.wants).toEqual(["synced"]);
    log.log();
    expect(await stateOf(flushed)).toBe("pending");
    log.sync();
    expect(await stateOf(flushed)).toBe("resolved");
    expect(await stateOf(committer.flush())).toBe("resolved");
    expect(log.wants).toEqual(["synced"]);
  });
});

describe("a pin of what is synced", () => {
  test("waits for what is applied, shows that, and has its coverage, which later merges do not change", async () => {
    const { committer, log, engine, read, foreign, clock } = committerFixture();
    void committer.merge([foreign(PEER, 1, clock.next(), "k", "1")], covering(PEER, 1));
    void committer.commit([setting("a", "1")], "relaxed");
    const pinned = committer.pinSynced("store");
    log.log();
    // What is logged, and shown, is kept apart until it is synced, for the sake of who waits for the pin.
    expect([engine.settled, committer.publishedVersion]).toEqual([0, 0]);
    log.sync();
    void committer.commit([setting("a", "2")], "relaxed");
    void committer.merge([foreign(PEER, 2, clock.next(), "k", "2")], covering(PEER, 2));
    log.log();
    const { pin, coverage } = await pinned;
    expect([pin.version, read("a", pin.version), read("k", pin.version)]).toEqual([2, "1", "1"]);
    log.sync();
    expect([coverage.of(PEER).upTo, committer.syncedCoverage.of(PEER).upTo]).toEqual([1, 2]);
    pin.release();
  });

  test("keeps nothing apart any more once it is there, or could not be had", async () => {
    const { committer, log, engine } = committerFixture();
    void committer.commit([setting("a", "1")], "relaxed");
    const pinned = committer.pinSynced("store");
    log.log();
    expect(engine.settled).toBe(0);
    log.sync();
    (await pinned).pin.release();
    void committer.commit([setting("a", "2")], "relaxed");
    log.log();
    expect(engine.settled).toBe(2);
    const refused = committer.commit([setting("a", "3")], "relaxed").catch(() => undefined);
    const none = committer.pinSynced("store").catch((error: Error) => error);
    log.refuse(2, DISK_FULL);
    committer.refusalDurable();
    await refused;
    expect(await none).toBe(DISK_FULL);
    void committer.commit([setting("a", "4")], "relaxed");
    log.log();
    expect(engine.settled).toBe(4);
  });

  test("is of a version that memory has, also of the newest one without entries", () => {
    const { committer } = committerFixture();
    void committer.commit([], "relaxed");
    const pin = committer.pin(1);
    expect(pin.version).toBe(0);
    pin.release();
  });
});

describe("replication", () => {
  test("that begins twice keeps un-synced commits apart, and covers own commits once they are synced", async () => {
    const { committer, log, engine } = committerFixture();
    await committer.beginReplication();
    await committer.beginReplication();
    void committer.commit([setting("a", "1")], "relaxed");
    expect([committer.appliedCoverage.covers(OWN, 1), committer.syncedCoverage.covers(OWN, 1)]).toEqual([
      true,
      false,
    ]);
    log.log();
    expect(engine.settled).toBe(0);
    log.sync();
    expect([engine.settled, committer.syncedCoverage.covers(OWN, 1)]).toEqual([1, true]);
  });

  test("does not end the keeping apart that a pin began, nor a pin that of replication", async () => {
    const { committer, log, engine } = committerFixture();
    await committer.beginReplication();
    (await committer.pinSynced("store")).pin.release();
    void committer.commit([setting("a", "1")], "relaxed");
    log.log();
    expect(engine.settled).toBe(0);
  });
});

describe("a merge", () => {
  test("that changes nothing is no commit, and resolves once what it found is synced", async () => {
    const { committer, log, foreign, clock } = committerFixture();
    const page = foreign(PEER, 1, clock.next(), "k", "v");
    void committer.merge([page], covering(PEER, 1));
    const again = committer.merge([page], covering(PEER, 1));
    expect([log.records.length, committer.lastVersion]).toEqual([1, 1]);
    log.log();
    expect(await stateOf(again)).toBe("pending");
    log.sync();
    expect(await again).toEqual({ version: 1, applied: 0, stale: expect.any(Number), refused: [] });
  });

  test("that brings coverage alone is a commit, and a notice of it names no key", async () => {
    const { committer, log, published, origins } = committerFixture();
    const done = committer.merge([], covering(PEER, 7));
    expect(log.wants).toEqual(["synced"]);
    const { bytes } = log.records[0];
    expect(readCommit(bytes, 0, bytes.length, origins.size)).toMatchObject({
      entryCount: 0,
      changes: [{ origin: origins.intern(PEER), coverage: { upTo: 7, holes: [] } }],
    });
    log.log();
    log.sync();
    expect(await done).toEqual({ version: 1, applied: 0, stale: 0, refused: [] });
    expect(committer.appliedCoverage.covers(PEER, 7)).toBe(true);
    expect(published).toEqual([{ version: 1, remote: true, keys: [] }]);
  });

  test("moves the clock past what it brings", () => {
    const { committer, foreign, clock } = committerFixture();
    const hlc = clock.next() + 1000 * 4096;
    void committer.merge([foreign(PEER, 1, hlc, "k", "v")], new Coverage());
    expect(clock.last).toBeGreaterThanOrEqual(hlc);
  });

  test("is refused once the store failed", async () => {
    const { committer, foreign, clock } = committerFixture();
    committer.failed(UNKNOWN);
    const page = foreign(PEER, 1, clock.next(), "k", "v");
    expect(() => committer.merge([page], new Coverage())).toThrow(
      expect.objectContaining({ code: "STORE_FAILED" }),
    );
  });
});

describe("a sweep", () => {
  test("takes no more than it may, asks for no sync, and does nothing once the store failed", () => {
    const { committer, log, wall, read } = committerFixture();
    for (const name of ["a", "b", "c"]) void committer.commit([setting(name, "1", wall.ms + 10)], "memory");
    log.log();
    wall.ms += 10;
    expect([committer.sweep(2), committer.lastVersion, committer.seq]).toEqual([2, 4, 3]);
    expect([log.wants, read("c")]).toEqual([["logged"], "1"]);
    committer.failed(UNKNOWN);
    expect([committer.sweep(2), log.records.length]).toEqual([0, 4]);
  });

  test("that the log refuses is done again, and nobody's promise is rejected", async () => {
    const { committer, log, wall, read } = committerFixture();
    void committer.commit([setting("a", "1", wall.ms + 10)], "memory");
    log.log();
    wall.ms += 10;
    expect(committer.sweep(10)).toBe(1);
    log.refuse(1, DISK_FULL);
    committer.refusalDurable();
    expect(read("a")).toBe("1");
    expect(committer.sweep(10)).toBe(1);
    log.log();
    await log.close();
    expect(read("a")).toBeUndefined();
  });
});
