import { describe, expect, test } from "vitest";
import { textCodec } from "../../../src/codec/codec.js";
import { STORE_KEYS } from "../../../src/keys/space.js";
import { entryBytes, writeEntry } from "../../../src/record/entry.js";
import type { CommitEvent, RangeOptions } from "../../../src/store/types.js";
import { ChangeMaker } from "../../../src/store/watch/changes.js";
import type { WatchOptions } from "../../../src/store/watch/request.js";
import type { WatchStream } from "../../../src/store/watch/stream.js";
import { Watchers, type WatchersParts } from "../../../src/store/watch/watchers.js";
import { brief, errorOf, take } from "./support.js";

type MakerOf = ConstructorParameters<typeof ChangeMaker<string>>[0];
const maker = (): ChangeMaker<string> =>
  new ChangeMaker<string>({
    origins: { id: () => "origin" },
    codec: textCodec,
    space: STORE_KEYS,
  } as unknown as MakerOf);

function encode(name: string): Uint8Array {
  return STORE_KEYS.encode(name, 100);
}

/** Watches of what is held here: one value for each key, whatever its version. */
class Here {
  readonly values = new Map<string, string>();
  readonly reports: [name: string, message: unknown][] = [];
  readonly committer: {
    interest: unknown;
    failure: Error | undefined;
    newestVersion: number;
    publishedVersion: number;
  } = { interest: undefined, failure: undefined, newestVersion: 0, publishedVersion: 0 };
  readonly found: [key: string, version: number][] = [];
  readonly watchers: Watchers;
  readonly changes = maker();
  /** A record for each key that was looked for, by its place behind 0, which is none. */
  readonly #records: Uint8Array[] = [];
  readonly #refs = new Map<string, number>();

  constructor() {
    const engine = {
      find: (key: Uint8Array, version: number) => this.#find(STORE_KEYS.decode(key) as string, version),
      slab: (ref: number) => this.#records[ref - 1],
      offset: () => 0,
    };
    const diagnostics = { emit: (name: string, of: () => unknown) => void this.reports.push([name, of()]) };
    const history = { oldest: 0, bytes: 0, cursor: () => ({ read: async () => undefined }) };
    const parts = { engine, diagnostics, committer: this.committer, history, keyBytesMax: 100 };
    this.watchers = new Watchers(parts as unknown as WatchersParts);
  }

  #find(name: string, version: number): number {
    this.found.push([name, version]);
    const text = this.values.get(name);
    if (text === undefined) return 0;
    const known = this.#refs.get(`${name} ${text}`);
    if (known !== undefined) return known;
    const [key, value] = [encode(name), textCodec.encode(text)];
    const bytes = new Uint8Array(entryBytes(key.length, value.length, 0));
    const stamp = { origin: 1, hlc: 1, seq: 1, deadline: 0, flags: 0, valueChecksum: 0 };
    writeEntry(bytes, 0, { key, value, ...stamp });
    this.#refs.set(`${name} ${text}`, this.#records.push(bytes));
    return this.#records.length;
  }

  /** What happens to the records when somebody writes. */
  moveRecords(): void {
    for (const record of this.#records) record.fill(0);
  }

  listen(
    keys: string | RangeOptions,
    listener: (commit: CommitEvent<string>) => void,
    changes = this.changes,
  ) {
    return this.watchers.watch(changes, keys, listener);
  }

  stream(keys: string | RangeOptions, options: WatchOptions = {}): WatchStream<string> {
    return this.watchers.watch(this.changes, keys, options) as WatchStream<string>;
  }

  publish(version: number, ...names: string[]): void {
    this.committer.newestVersion = version;
    this.committer.publishedVersion = version;
    this.watchers.publish([{ version, remote: false, keys: names.map(encode) }]);
  }
}

function held(...pairs: [string, string][]): Here {
  const here = new Here();
  for (const [name, value] of pairs) here.values.set(name, value);
  return here;
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("a published commit", () => {
  test("is shown to whom it concerns, in the order in which they came, each key once, and none that is gone", () => {
    const here = held(["a", "1"], ["b", "2"], ["c", "3"]);
    const seen: unknown[] = [];
    here.listen("b", (commit) => seen.push(["first", ...brief(commit)]));
    here.listen("a", (commit) => seen.push(["second", ...brief(commit)]));
    here.listen({}, (commit) => seen.push(["third", ...brief(commit)]));
    here.listen("x", (commit) => seen.push(["nobody", ...brief(commit)]));
    here.publish(7, "a", "b", "a", "x");
    expect(seen).toEqual([
      ["first", 7, "b", "2"],
      ["second", 7, "a", "1"],
      ["third", 7, "a", "1", "b", "2"],
    ]);
    expect(here.found.every(([, version]) => version === 7)).toBe(true);
    here.publish(8, "x");
    here.publish(9);
    expect(seen.length).toBe(3);
  });

  test("is made once for all that read in the same way, and again for others", () => {
    const here = held(["a", "1"]);
    const seen: CommitEvent<string>[] = [];
    const other = maker();
    for (const changes of [here.changes, here.changes, other, other]) {
      here.listen("a", (commit) => seen.push(commit), changes);
    }
    here.publish(1, "a");
    const [first, second, third, fourth] = seen.map(({ changes }) => changes[0]);
    expect([first === second, third === fourth, first === third]).toEqual([true, true, false]);
    expect(seen.map(brief)).toEqual(Array(4).fill([1, "a", "1"]));
  });

  test("is made for everybody before the first is called, who may write", () => {
    const here = held(["a", "1"], ["b", "2"]);
    const seen: unknown[] = [];
    here.listen("a", () => here.moveRecords());
    here.listen("b", (commit) => seen.push(brief(commit)));
    here.publish(1, "a", "b");
    expect(seen).toEqual([[1, "b", "2"]]);
  });

  test("is not shown to who left while others were shown it, nor to who came when it was applied already", () => {
    const here = held(["a", "1"]);
    const seen: string[] = [];
    here.listen("a", () => {
      seen.push("first");
      second.close();
    });
    const second = here.listen("a", () => seen.push("second"));
    here.committer.newestVersion = 2;
    here.listen("a", () => seen.push("late"));
    here.publish(2, "a");
    here.publish(3, "a");
    expect(seen).toEqual(["first", "first", "late"]);
  });

  test("is shown to those behind one that does not take it now", () => {
    const here = held(["a", "1"]);
    const seen: number[] = [];
    here.stream("a", { limits: { commits: 1 } });
    here.listen("a", ({ version }) => seen.push(version));
    here.publish(1, "a");
    here.publish(2, "a");
    expect(seen).toEqual([1, 2]);
  });

  test("goes on after a listener's mistake, which is reported", () => {
    const here = held(["a", "1"]);
    const seen: number[] = [];
    const error = new Error("a mistake");
    here.listen("a", () => {
      throw error;
    });
    here.listen("a", ({ version }) => seen.push(version));
    here.publish(4, "a");
    expect(seen).toEqual([4]);
    expect(here.reports).toEqual([["watch-error", { version: 4, error }]]);
  });

  test("is shown whole or not at all: without memory for a change it is reported, and missed", async () => {
    const here = held(["a", "1"], ["b", "2"], ["c", "3"]);
    const scarce = maker();
    const error = new RangeError("Array buffer allocation failed");
    const make = scarce.make.bind(scarce);
    scarce.make = (bytes, at) => {
      const shown = make(bytes, at);
      if (shown.change.key === "b") throw error;
      return shown;
    };
    const seen: unknown[] = [];
    here.listen({}, (commit) => seen.push(["all", ...brief(commit)]), scarce);
    here.listen("a", (commit) => seen.push(["a", ...brief(commit)]), scarce);
    here.listen("b", (commit) => seen.push(["b", ...brief(commit)]));
    const stream = here.watchers.watch(scarce, {}, {}) as WatchStream<string>;
    here.publish(1, "a", "b", "c");
    expect(seen.splice(0)).toEqual([
      ["a", 1, "a", "1"],
      ["b", 1, "b", "2"],
    ]);
    expect(here.reports).toEqual(Array(2).fill(["watch-error", { version: 1, error }]));
    expect((await take(stream, 1)).map(brief)).toEqual([[1, "gap", 0, 1]]);
    here.publish(2, "c");
    expect(seen).toEqual([["all", 2, "c", "3"]]);
    expect((await take(stream, 1)).map(brief)).toEqual([[2, "c", "3"]]);
  });
});

test("who waits for more to be published looks again when it is, once, and again when it waits again", async () => {
  const here = held(["a", "1"]);
  here.committer.newestVersion = 2;
  const stream = here.stream("a", { since: 0 });
  const pending = stream.next();
  await settled();
  here.watchers.wake();
  await settled();
  // Nothing was published: it waits again. Then what it waited for is refused.
  here.committer.newestVersion = 0;
  here.watchers.publish([]);
  await settled();
  here.publish(3, "a");
  expect(brief((await pending).value as CommitEvent<string>)).toEqual([3, "a", "1"]);
});

describe("the end of a store", () => {
  test("ends all watches: with what failed as the cause, or without an error when it was closed", async () => {
    for (const cause of [undefined, new Error("a broken disk")]) {
      const here = held(["a", "1"]);
      const listener = here.listen("a", () => undefined) as WatchStream;
      const streams = [here.stream("a"), here.stream({})];
      const waiting = streams[0].next();
      const ahead = errorOf(waiting);
      await settled();
      here.watchers.end(cause);
      expect(listener.isClosed).toBe(true);
      if (cause === undefined) {
        expect(await waiting).toEqual({ done: true, value: undefined });
        expect(await take(streams[1], 1)).toEqual([]);
        await ahead.catch(() => undefined);
      } else {
        expect(await ahead).toMatchObject({ code: "STORE_FAILED", cause });
        expect(await errorOf(streams[1].next())).toMatchObject({ code: "STORE_FAILED", cause });
      }
      // All have left.
      expect(here.committer.interest).toBeUndefined();
    }
  });

  test("wakes who waits for what is published", async () => {
    const here = held();
    here.committer.newestVersion = 2;
    const stream = here.stream("a", { since: 0 });
    const pending = errorOf(stream.next());
    await settled();
    here.watchers.end(new Error("a broken disk"));
    expect(await pending).toMatchObject({ code: "STORE_FAILED" });
  });

  test("that failed before ends new ones, of which nothing stays", async () => {
    const here = held(["a", "1"]);
    here.committer.failure = new Error("a broken disk");
    expect((here.listen("a", () => undefined) as WatchStream).isClosed).toBe(true);
    expect(here.committer.interest).toBeUndefined();
    const stream = here.stream("a");
    expect(await errorOf(stream.next())).toMatchObject({
      code: "STORE_FAILED",
      cause: here.committer.failure,
    });
    expect(here.committer.interest).toBeUndefined();
  });
});

test("a stream that is over when it begins asks nothing of commits", () => {
  const here = held();
  const stream = here.stream("a", { signal: AbortSignal.abort() });
  expect([stream.isClosed, here.committer.interest]).toEqual([true, undefined]);
});

test.each([[null], [5], ["listener"], [true]])(
  "what is neither a listener nor options is refused: %s",
  (how) => {
    const here = held();
    expect(() => here.watchers.watch(here.changes, "a", how as never)).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining("must be a function"),
      }),
    );
  },
);
