import { expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { committerFixture, covering, OWN, PEER, setting } from "./fixture.js";

const FAILED = expect.objectContaining({ code: "STORE_FAILED" });

test("a merge that the log cannot take is neither seen nor covered", () => {
  const { committer, log, clock, foreign, read } = committerFixture();
  log.end = () => {
    throw new RangeError("a bug");
  };
  const page = foreign(PEER, 1, clock.next(), "a", "1");
  expect(() => committer.merge([page], covering(PEER, 1))).toThrow(FAILED);
  expect(read("a")).toBeUndefined();
  expect(committer.appliedCoverage.covers(PEER, 1)).toBe(false);
});

test("a commit that was shown to others before the log failed stays", async () => {
  const { committer, log, engine, read, published } = committerFixture();
  // From here on what is not synced could still be taken back.
  await committer.beginReplication();
  const end = log.end.bind(log);
  log.end = () => {
    end();
    log.log();
    throw new RangeError("a bug");
  };
  expect(() => committer.commit([setting("a", "1")], "relaxed")).toThrow(FAILED);
  expect(published).toHaveLength(1);
  expect(engine.settled).toBe(0);
  expect(read("a")).toBe("1");
  expect(() => committer.commit([setting("b", "1")], "memory")).toThrow(FAILED);
});

test("a commit that a store has no place for is refused alone", async () => {
  const { committer, log, engine, read, failures } = committerFixture();
  const put = engine.put.bind(engine);
  let left = 1;
  engine.put = (...entry) => {
    if (left-- === 0) throw new FulmarError("MEMORY_FULL", "no piece of memory is left");
    put(...entry);
  };
  const writes = ["a", "b"].map((name) => setting(name, "1"));
  expect(() => committer.commit(writes, "full")).toThrow(expect.objectContaining({ code: "MEMORY_FULL" }));
  expect([read("a"), read("b")]).toEqual([undefined, undefined]);
  const done = committer.commit([setting("b", "2")], "full");
  log.log();
  log.sync();
  await done;
  expect([failures, committer.failure, read("b")]).toEqual([[], undefined, "2"]);
});

test("a commit for which there is no memory is refused alone, and its numbers are not given out again", async () => {
  const { committer, log, engine, read, failures, foreign, clock } = committerFixture();
  await committer.beginReplication();
  const put = engine.put.bind(engine);
  let left = 2;
  engine.put = (...entry) => {
    if (left-- === 0) throw new RangeError("Array buffer allocation failed");
    put(...entry);
  };
  void committer.commit([setting("a", "1")], "memory");
  const [version, seq] = [committer.lastVersion, committer.seq];
  const writes = ["a", "b"].map((name) => setting(name, "2"));
  expect(() => committer.commit(writes, "full")).toThrow("allocation failed");
  expect([read("a"), read("b"), committer.newestVersion]).toEqual(["1", undefined, version]);
  expect(committer.appliedCoverage.covers(OWN, seq + 1)).toBe(false);
  left = 0;
  const page = foreign(PEER, 1, clock.next(), "c", "1");
  expect(() => committer.merge([page], covering(PEER, 1))).toThrow("allocation failed");
  expect(committer.appliedCoverage.covers(PEER, 1)).toBe(false);
  const done = committer.commit([setting("b", "3")], "full");
  expect(committer.seq).toBe(seq + 2);
  log.log();
  log.sync();
  expect(await done).toMatchObject({ version: version + 3 });
  expect(log.records.map((record) => record.version)).toEqual([version, version + 3]);
  expect([failures, committer.failure, read("a"), read("b")]).toEqual([[], undefined, "1", "3"]);
});
