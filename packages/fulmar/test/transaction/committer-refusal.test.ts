import { describe, expect, test } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { committerFixture, covering, deletion, PEER, setting, stateOf } from "./fixture.js";

const DISK_FULL = new FulmarError("DISK_FULL", "no space");
const UNKNOWN = new FulmarError("DURABILITY_UNKNOWN", "a sync failed");

describe("refusal by the log", () => {
  test("T-WAL-06: memory goes back to the last logged commit; writers hear only when it is certain", async () => {
    const { committer, log, read, published } = committerFixture();
    await Promise.all([committer.commit([setting("a", "1")], "relaxed"), Promise.resolve(log.log())]);
    const second = committer.commit([setting("a", "2"), setting("b", "2")], "relaxed");
    const third = committer.commit([deletion("a")], "full");
    log.refuse(1, DISK_FULL);
    expect([read("a"), read("b")]).toEqual(["1", undefined]);
    expect(await stateOf(second)).toBe("pending");
    committer.refusalDurable();
    await expect(second).rejects.toMatchObject({ code: "DISK_FULL" });
    await expect(third).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(published.map((notice) => notice.version)).toEqual([1]);
  });

  test("what only memory has to have is not acknowledged when the log takes it back in the same call", async () => {
    const { committer, log, read } = committerFixture();
    const before = committer.commit([setting("a", "1")], "memory");
    log.log();
    log.atEnd = () => log.refuse(1, DISK_FULL);
    const refused = committer.commit([setting("a", "2")], "memory");
    log.atEnd = () => {};
    const later = committer.commit([setting("b", "3")], "memory");
    expect([read("a"), read("b")]).toEqual(["1", "3"]);
    expect(await stateOf(before)).toBe("resolved");
    expect(await stateOf(refused)).toBe("pending");
    expect(await stateOf(later)).toBe("resolved");
    committer.refusalDurable();
    expect(await stateOf(refused)).toBe(DISK_FULL);
    // Each refusal is told once.
    committer.refusalDurable();
    log.atEnd = () => log.refuse(3, DISK_FULL);
    const again = committer.commit([setting("a", "2")], "memory");
    committer.failed(UNKNOWN);
    committer.failed(UNKNOWN);
    committer.refusalDurable();
    expect(await stateOf(again)).toBe(UNKNOWN);
  });

  test("nor when the store fails before it is certain that nothing of it comes back", async () => {
    const { committer, log } = committerFixture();
    log.atEnd = () => log.refuse(0, DISK_FULL);
    const refused = committer.commit([setting("a", "1")], "memory");
    committer.failed(UNKNOWN);
    expect(await stateOf(refused)).toBe(UNKNOWN);
  });

  test("numbers of refused commits are not given out again, and writing goes on", async () => {
    const { committer, log, read } = committerFixture();
    const refused = committer.commit([setting("a", "1")], "relaxed");
    log.refuse(0, DISK_FULL);
    committer.refusalDurable();
    await expect(refused).rejects.toMatchObject({ code: "DISK_FULL" });
    const next = committer.commit([setting("a", "2")], "relaxed");
    log.log();
    const { version, stamp } = await next;
    expect([version, stamp.seq, read("a")]).toEqual([2, 2, "2"]);
  });

  test("a pin above the last logged commit is dead afterwards, one below lives on", () => {
    const { committer, log, read } = committerFixture();
    void committer.commit([setting("a", "1")], "relaxed");
    log.log();
    const below = committer.pin(1);
    committer.commit([setting("a", "2")], "relaxed").catch(() => undefined);
    const above = committer.pin(2);
    log.refuse(1, DISK_FULL);
    committer.refusalDurable();
    expect([below.alive, above.alive]).toEqual([true, false]);
    expect(read("a", below.version)).toBe("1");
    below.release();
    above.release();
  });

  test("T-SYNC-05: a refused merge takes its coverage back", async () => {
    const { committer, log, foreign, clock, read } = committerFixture();
    const merged = committer.merge([foreign(PEER, 1, clock.next(), "k", "v")], covering(PEER, 1));
    expect(committer.appliedCoverage.covers(PEER, 1)).toBe(true);
    log.refuse(0, DISK_FULL);
    committer.refusalDurable();
    await expect(merged).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(read("k")).toBeUndefined();
    expect(committer.appliedCoverage.covers(PEER, 1)).toBe(false);
  });
});
