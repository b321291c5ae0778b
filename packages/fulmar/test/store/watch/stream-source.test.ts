import { expect, test, vi } from "vitest";
import { announce, Source, settled } from "./source.js";
import { brief, errorOf, take } from "./support.js";

const plain = (...versions: number[]): unknown[] => versions.map((version) => [version, "k", `${version}`]);
const DONE = { done: true, value: undefined };

test("what was applied before it came is not taken, and what comes later is, each once", async () => {
  const source = new Source();
  source.commits(2);
  source.newestVersion = 3;
  const stream = source.stream();
  expect([1, 2, 3].map((version) => stream.takes(version))).toEqual([false, false, false]);
  expect([announce(source, stream, 4), announce(source, stream, 5, true)]).toEqual([true, true]);
  expect([stream.takes(4), stream.takes(5), stream.takes(6)]).toEqual([false, false, true]);
  const commits = await take(stream, 2);
  expect(commits.map(brief)).toEqual(plain(4, 5));
  expect(commits.map(({ remote }) => remote)).toEqual([false, true]);
  expect(source.cursors).toEqual([]);
});

test("beyond its limits it reads on where it stopped taking, and takes again when it has caught up", async () => {
  const source = new Source();
  const stream = source.stream({ limits: { commits: 2 } });
  const taken = [1, 2, 3, 4, 5].map((version) => announce(source, stream, version));
  expect(taken).toEqual([true, true, false, false, false]);
  expect((await take(stream, 3)).map(brief)).toEqual(plain(1, 2, 3));
  // It is still behind, though there is room.
  expect(announce(source, stream, 6)).toBe(false);
  expect((await take(stream, 3)).map(brief)).toEqual(plain(4, 5, 6));
  const pending = stream.next();
  await settled();
  expect(announce(source, stream, 7)).toBe(true);
  expect(brief((await pending).value as never)).toEqual([7, "k", "7"]);
  expect(source.cursors).toEqual([[2, false]]);
});

test("with a version it reads what is behind it, and waits for what was applied and is not published yet", async () => {
  const source = new Source();
  source.commits(2);
  source.newestVersion = 4;
  const stream = source.stream({ since: 1 });
  const shown = take(stream, 5);
  await settled();
  expect(announce(source, stream, 3)).toBe(false);
  expect(source.waiting.length).toBe(1);
  source.wake();
  await settled();
  expect(announce(source, stream, 4)).toBe(false);
  source.wake();
  await settled();
  expect(announce(source, stream, 5)).toBe(true);
  await settled();
  expect(announce(source, stream, 6)).toBe(true);
  expect((await shown).map(brief)).toEqual(plain(2, 3, 4, 5, 6));
  expect(source.waiting).toEqual([]);
});

test("it does not wait for what was refused", async () => {
  const source = new Source();
  source.commits(1);
  source.newestVersion = 3;
  const stream = source.stream({ since: 1 });
  const pending = stream.next();
  await settled();
  source.newestVersion = 1;
  source.wake();
  await settled();
  expect(announce(source, stream, 4)).toBe(true);
  expect(brief((await pending).value as never)).toEqual([4, "k", "4"]);
});

test("only its keys are shown, a key that is there twice by its later value in the place of the earlier", async () => {
  const source = new Source();
  source.commits(4, (version) =>
    version === 3
      ? [
          ["k", "early"],
          ["j", "3"],
          ["k", "late"],
        ]
      : [["other", "x"]],
  );
  source.commits(1, () => [["other", "x"]]);
  const one = source.stream({ since: 0 }, "k");
  const all = source.stream({ since: 2 });
  expect((await take(all, 1)).map(brief)).toEqual([[3, "k", "late", "j", "3"]]);
  expect((await take(one, 1)).map(brief)).toEqual([[3, "k", "late"]]);
  const pending = one.next();
  await settled();
  expect(announce(source, one, 6)).toBe(true);
  expect(brief((await pending).value as never)).toEqual([6, "k", "6"]);
  const [, second] = await take(source.stream({ since: 0 }), 2);
  expect(second.remote).toBe(true);
});

test("what is not kept is COMPACTED for who resumes, at once when its version is none of the store", async () => {
  const source = new Source();
  source.commits(5);
  source.oldest = 3;
  const stream = source.stream({ since: 2 });
  expect(stream.isClosed).toBe(false);
  const details = { since: 2, version: 5, oldest: 3 };
  expect(await errorOf(stream.next())).toMatchObject({ code: "COMPACTED", details });
  expect([await stream.next(), source.left.has(stream)]).toEqual([DONE, true]);
  expect(source.cursors).toEqual([[2, true]]);
  const ahead = source.stream({ since: 6 });
  expect(ahead.isClosed).toBe(true);
  expect(await errorOf(ahead.next())).toMatchObject({ code: "COMPACTED", details: { since: 6 } });
  const here = source.stream({ since: 5 });
  expect(here.isClosed).toBe(false);
  here.close();
});

test("who was there already is told of a gap, and reads on behind it", async () => {
  const source = new Source();
  const stream = source.stream({ limits: { commits: 1 } });
  for (let version = 1; version <= 5; version++) announce(source, stream, version);
  source.oldest = 4;
  const [first, gap] = await take(stream, 2);
  expect(brief(first)).toEqual([1, "k", "1"]);
  expect(gap).toEqual({ version: 5, remote: false, changes: [], gap: { after: 1, through: 5 } });
  const pending = stream.next();
  await settled();
  expect(announce(source, stream, 6)).toBe(true);
  expect(brief((await pending).value as never)).toEqual([6, "k", "6"]);
});

test("a gap waits for what was on its way when the watch began, which is not announced to it", async () => {
  const source = new Source();
  source.commits(3);
  source.newestVersion = 5;
  const stream = source.stream({ since: 0, limits: { commits: 1 } });
  expect((await take(stream, 1)).map(brief)).toEqual(plain(1));
  source.oldest = 3;
  const gap = stream.next();
  await settled();
  for (const version of [4, 5]) {
    expect(source.waiting.length).toBe(1);
    expect(announce(source, stream, version)).toBe(false);
    source.oldest = version;
    source.wake();
    await settled();
  }
  expect(brief((await gap).value as never)).toEqual([5, "gap", 1, 5]);
  expect(announce(source, stream, 6)).toBe(true);
  source.oldest = 6;
  expect((await take(stream, 1)).map(brief)).toEqual(plain(6));
});

test("a gap is told before the end of a store that failed, and not waited with", async () => {
  const source = new Source();
  source.commits(3);
  source.newestVersion = 5;
  const stream = source.stream({ since: 0, limits: { commits: 1 } });
  await take(stream, 1);
  source.oldest = 3;
  const error = new Error("failed");
  const gap = stream.next();
  await settled();
  stream.end(error);
  expect(brief((await gap).value as never)).toEqual([3, "gap", 1, 3]);
  expect(await errorOf(stream.next())).toBe(error);
});

test("a place in the history that is lost is looked for again before anything is given up", async () => {
  const source = new Source();
  source.commits(6);
  const stream = source.stream({ since: 0, limits: { commits: 2 } });
  let reads = 0;
  const cursor = source.history.cursor.bind(source.history);
  vi.spyOn(source.history, "cursor").mockImplementation((after, exact) => {
    const { read } = cursor(after, exact);
    return { read: (through, visit) => (++reads === 2 ? Promise.resolve(undefined) : read(through, visit)) };
  });
  expect((await take(stream, 6)).map(brief)).toEqual(plain(1, 2, 3, 4, 5, 6));
  expect(source.cursors).toEqual([
    [0, true],
    [2, false],
  ]);
});

test("when the store is closed it shows what waits in memory, and reads no more", async () => {
  const source = new Source();
  const live = source.stream({ limits: { commits: 2 } });
  for (let version = 1; version <= 3; version++) announce(source, live, version);
  live.end();
  expect((await take(live, 3)).map(brief)).toEqual(plain(1, 2));
  expect([live.isClosed, await live.next(), source.cursors]).toEqual([true, DONE, []]);
  const past = source.stream({ since: 0 });
  source.beforeVisit = (version) => {
    if (version === 2) past.end();
  };
  expect((await take(past, 3)).map(brief)).toEqual(plain(1, 2));
  const waits = source.stream();
  const pending = waits.next();
  await settled();
  waits.end();
  expect([await pending, waits.isClosed]).toEqual([DONE, true]);
});

test("when the store failed it shows everything that was published, then says so once", async () => {
  const source = new Source();
  const error = new Error("failed");
  const stream = source.stream({ limits: { commits: 1 } });
  for (let version = 1; version <= 3; version++) announce(source, stream, version);
  source.newestVersion = 9;
  stream.end(error);
  stream.end(new Error("a later one"));
  expect((await take(stream, 3)).map(brief)).toEqual(plain(1, 2, 3));
  expect(await errorOf(stream.next())).toBe(error);
  expect(await stream.next()).toEqual(DONE);
  // What was never published is not waited for.
  const ahead = source.stream({ since: 3 });
  const pending = errorOf(ahead.next());
  await settled();
  ahead.end(error);
  expect(await pending).toBe(error);
  const stopped = source.stream({ since: 0 });
  stopped.end(error);
  stopped.end();
  expect(await errorOf(stopped.next())).toBe(error);
});

test.each(["close", "abort"] as const)("nothing is shown of what is read back meanwhile: %s", async (how) => {
  const source = new Source();
  source.commits(5);
  const stop = new AbortController();
  const stream = source.stream({ since: 0, signal: stop.signal });
  const visited: number[] = [];
  source.beforeVisit = (version) => {
    visited.push(version);
    if (version < 3) return;
    if (how === "close") stream.close();
    else stop.abort("enough");
  };
  const pending = stream.next();
  if (how === "close") expect(await pending).toEqual(DONE);
  else expect(await errorOf(pending)).toMatchObject({ code: "ABORTED", cause: "enough" });
  expect([visited, await stream.next(), stream.isClosed]).toEqual([[1, 2, 3], DONE, true]);
});

test("a history that cannot be read ends it with that error, and is no matter when it was closed before", async () => {
  const source = new Source();
  source.commits(2);
  const error = new Error("damaged");
  source.beforeVisit = () => {
    throw error;
  };
  const stream = source.stream({ since: 0 });
  const results = [errorOf(stream.next()), stream.next()];
  expect(await results[0]).toBe(error);
  expect([await results[1], source.left.has(stream)]).toEqual([DONE, true]);
  const closed = source.stream({ since: 0 });
  source.beforeVisit = () => {
    closed.close();
    throw error;
  };
  expect(await closed.next()).toEqual(DONE);
});

test("a signal that came first ends it with ABORTED, and one that comes later is let go of", async () => {
  const source = new Source();
  const early = source.stream({ since: 9, signal: AbortSignal.abort("early") });
  expect(early.isClosed).toBe(true);
  expect(await errorOf(early.next())).toMatchObject({ code: "ABORTED", cause: "early" });
  const stop = new AbortController();
  const stream = source.stream({ signal: stop.signal });
  announce(source, stream, 1);
  expect(await stream.return()).toEqual(DONE);
  stop.abort();
  expect([await stream.next(), source.left.size]).toEqual([DONE, 2]);
});

test("callers are answered in order, and whoever waits hears that it is over", async () => {
  const source = new Source();
  const stream = source.stream();
  const results = [stream.next(), stream.next(), stream.next()];
  await settled();
  announce(source, stream, 1);
  announce(source, stream, 2);
  expect(brief((await results[0]).value as never)).toEqual([1, "k", "1"]);
  expect(brief((await results[1]).value as never)).toEqual([2, "k", "2"]);
  await settled();
  stream.close();
  expect(await results[2]).toEqual(DONE);
  expect(stream[Symbol.asyncIterator]()).toBe(stream);
  const { using, awaited } = { using: source.stream(), awaited: source.stream() };
  using[Symbol.dispose]();
  await awaited[Symbol.asyncDispose]();
  expect([using.isClosed, awaited.isClosed]).toEqual([true, true]);
});
