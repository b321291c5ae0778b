import { expect, test } from "vitest";
import { committerFixture, covering, PEER, setting } from "./fixture.js";

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
