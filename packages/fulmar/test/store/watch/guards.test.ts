import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, test, vi } from "vitest";
import { type CommitEvent, open } from "../../../src/index.js";
import { brief, errorOf, machine, openOn, rest, take } from "./support.js";

test("an error in a listener is reported, and disturbs neither other watches nor who writes", async () => {
  await using db = await open<number>();
  const reports: unknown[] = [];
  const listener = (message: unknown): void => void reports.push(message);
  subscribe("fulmar:watch-error", listener);
  try {
    const seen: unknown[] = [];
    const error = new Error("a mistake");
    db.watch("k", ({ version }) => {
      if (version < 3) throw error;
      seen.push("first again");
    });
    db.watch("k", (commit) => seen.push(brief(commit)));
    const stream = db.watch("k");
    expect(await db.set("k", 1)).toMatchObject({ version: 1 });
    await db.batch([{ type: "set", key: "k", value: 2 }]);
    await db.set("k", 3);
    expect(seen).toEqual([[1, "k", 1], [2, "k", 2], "first again", [3, "k", 3]]);
    expect((await take(stream, 3)).length).toBe(3);
    expect(reports).toEqual([
      expect.objectContaining({ version: 1, error }),
      expect.objectContaining({ version: 2, error }),
    ]);
  } finally {
    unsubscribe("fulmar:watch-error", listener);
  }
});

test("a rejection of an asynchronous listener is reported too, and ends nothing", async () => {
  await using db = await open<number>();
  const reports: unknown[] = [];
  const listener = (message: unknown): void => void reports.push(message);
  subscribe("fulmar:watch-error", listener);
  try {
    const error = new Error("a mistake");
    db.watch("k", async () => {
      await Promise.resolve();
      throw error;
    });
    await db.set("k", 1);
    await vi.waitUntil(() => reports.length > 0);
    expect(reports).toEqual([expect.objectContaining({ version: 1, error })]);
  } finally {
    unsubscribe("fulmar:watch-error", listener);
  }
});

describe("who begins while a commit is on its way to the disk", () => {
  test("is not shown it: it was applied before, and a scan finds it", async () => {
    const db = await openOn(machine());
    // For this one the commit is announced.
    const early = db.watch({});
    const done = db.set("a", "1");
    const seen: unknown[] = [];
    db.watch({}, (commit) => seen.push(brief(commit)));
    const stream = db.watch({});
    expect(db.get("a")).toBe("1");
    await done;
    await db.set("b", "2");
    expect(seen).toEqual([[2, "b", "2"]]);
    expect((await take(stream, 1)).map(brief)).toEqual([[2, "b", "2"]]);
    expect((await take(early, 2)).map(({ version }) => version)).toEqual([1, 2]);
    await db.close();
  });

  test("with a version is shown it once, from the history, and what follows behind it", async () => {
    for (const since of [0, 1, 2]) {
      const db = await openOn(machine());
      const early = db.watch({});
      await db.set("a", "1");
      const [second, third] = [db.set("b", "2"), db.set("c", "3")];
      const stream = db.watch({}, { since });
      const shown = take(stream, 5 - since);
      await Promise.all([second, third]);
      await db.set("d", "4");
      await db.set("e", "5");
      const all = ["a", "b", "c", "d", "e"].map((key, i) => [i + 1, key, `${i + 1}`]);
      expect((await shown).map(brief), `since ${since}`).toEqual(all.slice(since));
      expect((await take(early, 5)).map(brief)).toEqual(all);
      await db.close();
    }
  });

  test("goes on after a refusal of what it waited for, with versions that are never given out twice", async () => {
    const storage = machine();
    const db = await openOn(storage);
    await db.set("a", "1");
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    const refused = errorOf(db.set("b", "2"));
    const seen: unknown[] = [];
    db.watch({}, (commit) => seen.push(brief(commit)));
    const streams = [db.watch({}), db.watch({}, { since: 1 })];
    const pending = streams.map((stream) => stream.next());
    expect(await refused).toMatchObject({ code: "DISK_FULL" });
    await db.set("c", "3");
    for (const one of pending) expect(brief((await one).value as CommitEvent<string>)).toEqual([3, "c", "3"]);
    expect(seen).toEqual([[3, "c", "3"]]);
    await db.close();
  });
});

describe("a stream that is closed while it reads the history", () => {
  test.each(["close", "abort", "store"] as const)("is shown nothing more: %s", async (how) => {
    const db = await open<number>();
    for (let n = 1; n <= 50; n++) await db.set(n, n);
    const stop = new AbortController();
    const stream = db.watch({}, { since: 0, signal: stop.signal, limits: { commits: 10 } });
    expect((await take(stream, 1)).length).toBe(1);
    const waiting = 9;
    const pending = stream.next();
    if (how === "close") stream.close();
    else if (how === "abort") stop.abort();
    else await db.close();
    if (how === "store") {
      await pending;
      // What waits in memory already is still to be had.
      expect((await rest(stream)).length).toBe(waiting - 1);
    } else {
      await pending.catch(() => undefined);
      expect(await rest(stream).catch((error: { code: string }) => [error.code])).toEqual([]);
    }
    expect(stream.isClosed).toBe(true);
    if (how !== "store") await db.close();
  });
});

test("closed while the log is read for it, it shows nothing of what was read", async () => {
  const storage = machine();
  const db = await openOn(storage);
  for (let n = 1; n <= 20; n++) await db.set(n, "x".repeat(100));
  for (let turns = 0; turns < 12; turns++) {
    const stream = db.watch({}, { since: 0 });
    const pending = stream.next();
    let isAnswered = false;
    void pending.then(() => {
      isAnswered = true;
    });
    for (let i = 0; i < turns && !isAnswered; i++) await Promise.resolve();
    if (!isAnswered) {
      stream.close();
      expect(await pending, `after ${turns} turns`).toEqual({ done: true, value: undefined });
    }
    stream.close();
  }
  await db.close();
});

test("that resumed and then fell behind is told of a gap, not that it cannot resume", async () => {
  await using db = await open<string>(undefined, { codec: "text", historyBytes: 4096 });
  for (let n = 1; n <= 5; n++) await db.set("k", `${n}`);
  const stream = db.watch({}, { since: 0, limits: { commits: 1 } });
  expect((await take(stream, 1)).map(brief)).toEqual([[1, "k", "1"]]);
  for (let n = 6; n <= 105; n++) await db.set("k", "x".repeat(200));
  const [next] = await take(stream, 1);
  expect(next.gap).toEqual({ after: 1, through: 105 });
});

test("a stream lets go of its signal when it ends", async () => {
  await using db = await open<number>();
  const { signal } = new AbortController();
  const added = vi.spyOn(signal, "addEventListener");
  const removed = vi.spyOn(signal, "removeEventListener");
  for await (const _ of db.watch({}, { signal, since: (await db.set("k", 1)).version - 1 })) break;
  expect(added).toHaveBeenCalledTimes(1);
  expect(removed.mock.calls.map(([, listener]) => listener)).toContain(added.mock.calls[0][1]);
});

describe("what waits", () => {
  test("frees its room when it is taken, by commits and by bytes", async () => {
    await using db = await open<string>(undefined, { codec: "text", historyBytes: 0 });
    const streams = [db.watch({}, { limits: { commits: 3 } }), db.watch({}, { limits: { bytes: 3000 } })];
    const coalesced = db.watch({}, { coalesce: true, limits: { bytes: 3000 } });
    for (let n = 1; n <= 30; n++) {
      await db.set("k", "x".repeat(1000));
      for (const stream of [...streams, coalesced]) {
        // Never more than one waits, so that nothing is ever missing, though nothing can be read back.
        expect((await take(stream, 1))[0]).toMatchObject({ version: n, changes: [{ key: "k" }] });
      }
    }
    // The same key again and again takes its room once.
    for (let n = 1; n <= 30; n++) await db.set("k", "x".repeat(1000));
    expect((await take(coalesced, 1))[0]).toMatchObject({ version: 60, changes: [{ key: "k" }] });
    expect((await take(coalesced, 0)).length).toBe(0);
    // One more than its limit, then a gap.
    expect((await take(streams[0], 4)).map(({ version, gap }) => [version, gap?.after])).toEqual([
      [31, undefined],
      [32, undefined],
      [33, undefined],
      [60, 33],
    ]);
  });

  test("coalesced, is remote if any of it is, and only then", async () => {
    await using db = await open<number>();
    const stream = db.watch({}, { coalesce: true });
    await db.set("a", 1);
    expect((await take(stream, 1))[0].remote).toBe(false);
  });

  test("is what was committed, whatever becomes of the memory and history that it came from", async () => {
    await using db = await open<string>(undefined, { codec: "text", historyBytes: 16_384 });
    const live = db.watch("k");
    await db.set("k", "first");
    const past = db.watch("k", { since: 0 });
    const commits = [...(await take(live, 1)), ...(await take(past, 1))];
    for (let n = 0; n < 3000; n++) await db.set(n % 10, "y".repeat(n % 500));
    await db.delete("k");
    for (let n = 0; n < 300; n++) await db.set(`other ${n}`, "z".repeat(100));
    for (const { changes } of commits) expect(changes[0].value).toBe("first");
  });
});

test("a commit is shown to watches of its later keys, and of each namespace with its own codec", async () => {
  await using db = await open<string>(undefined, { codec: "text" });
  const [asText, asJson] = [db.namespace<string>("n"), db.namespace<number>("n", { codec: "json" })];
  const seen: unknown[] = [];
  db.watch("second", (commit) => seen.push(brief(commit)));
  asText.watch("k", (commit) => seen.push(brief(commit)));
  asJson.watch("k", (commit) => seen.push(brief(commit)));
  await db.atomic().set("first", "1").set("second", "2").in(asText).set("k", "3").commit();
  expect(seen).toEqual([
    [1, "second", "2"],
    [1, "k", "3"],
    [1, "k", 3],
  ]);
});

test("others are shown commits when one of them leaves, and again when all have left and one comes", async () => {
  await using db = await open<number>();
  const seen: unknown[] = [];
  const first = db.watch("k", () => seen.push("first"));
  const second = db.watch("k", () => seen.push("second"));
  first.close();
  first.close();
  await db.set("k", 1);
  second.close();
  await db.set("k", 2);
  db.watch("k", () => seen.push("third"));
  await db.set("k", 3);
  expect(seen).toEqual(["second", "third"]);
});

test("a store that has failed already ends a new watch with STORE_FAILED", async () => {
  const storage = machine();
  const db = await openOn(storage);
  await db.set("a", "1");
  storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO" });
  expect(await errorOf(db.set("b", "2"))).toMatchObject({ code: "DURABILITY_UNKNOWN" });
  expect(await errorOf(db.watch({}).next())).toMatchObject({ code: "STORE_FAILED" });
  const past = db.watch({}, { since: 0 });
  expect((await take(past, 1)).map(brief)).toEqual([[1, "a", "1"]]);
  expect(await errorOf(past.next())).toMatchObject({ code: "STORE_FAILED" });
  let calls = 0;
  db.watch({}, () => calls++).close();
  expect(calls).toBe(0);
  expect(await errorOf(db.close())).toMatchObject({ code: "DURABILITY_UNKNOWN" });
});
