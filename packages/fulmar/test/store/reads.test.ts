import { inspect } from "node:util";
import { describe, expect, test, vi } from "vitest";
import type { Clock } from "../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { type Codec, type Entry, type OpenOptions, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";

/** In the heap, in a chunk of the pool (at its limits, too), and in a buffer of their own. */
const SIZES = [0, 1, 63, 64, 65, 100, 1023, 1024, 1025, 5000];

function filledWith(size: number, seed: number): Uint8Array {
  return new Uint8Array(size).map((_, i) => (seed * 37 + i * 11) & 255);
}

async function bytesStore(count: number, options: OpenOptions<Uint8Array> = {}): Promise<Store<Uint8Array>> {
  const db = await open<Uint8Array>(undefined, { codec: "bytes", ...options });
  await db.batch(
    Array.from({ length: count }, (_, i) => {
      return { type: "set", key: `k${i}`, value: filledWith(SIZES[i % SIZES.length], i) } as const;
    }),
  );
  return db;
}

async function numbered(count: number, options: OpenOptions<number> = {}): Promise<Store<number>> {
  const db = await open<number>(undefined, options);
  await db.batch(Array.from({ length: count }, (_, i) => ({ type: "set", key: i, value: i }) as const));
  return db;
}

describe("what a read hands out", () => {
  /** Overwrites, deletes and lets memory be used again, several times over. */
  async function stir(db: Store<Uint8Array>, keys: readonly string[]): Promise<void> {
    for (let round = 0; round < 3; round++) {
      for (const [i, key] of keys.entries()) {
        if ((i + round) % 3 === 0) void db.delete(key);
        else void db.set(key, new Uint8Array(SIZES[(i + round) % SIZES.length]).fill(0xee));
      }
      await db.flush();
    }
  }

  test("never changes afterwards, whatever is written then", async () => {
    await using db = await bytesStore(100);
    await db.set("timed", filledWith(100, 7), { ttl: 1e6 });
    const keys = [...db.keys()] as string[];
    const taken = {
      list: [...db.list()],
      reverse: [...db.list({ reverse: true, limit: 50 })],
      values: [...db.values()],
      many: db.getMany([...keys, "none"]),
      get: keys.map((key) => db.get(key)),
      entry: keys.map((key) => db.entry(key)),
      previous: (await db.set("k5", new Uint8Array(3), { previous: true })).previous,
    };
    const before = structuredClone(taken);
    await stir(db, keys);
    expect(taken).toEqual(before);
    expect(taken.values[1]).not.toEqual(db.get(keys[1]));
  });

  test("is each on its own: to change one value changes no other, and nothing that is stored", async () => {
    await using db = await bytesStore(200);
    const expected = structuredClone([...db.list()].map(({ key, value }) => [key, value]));
    for (const read of [
      () => [...db.values()],
      () => [...db.list()].map(({ value }) => value),
      () => db.getMany(db.keys()) as Uint8Array[],
      () => [...db.keys()].map((key) => db.get(key) as Uint8Array),
    ]) {
      const values = read();
      for (const [i, value] of values.entries()) {
        expect(value).toEqual(expected[i][1]);
        value.fill(0x99);
      }
      expect(values.map((value) => value.length)).toEqual(
        expected.map(([, value]) => (value as Uint8Array).length),
      );
    }
    expect([...db.list()].map(({ key, value }) => [key, value])).toEqual(expected);
  });

  test("an entry is a plain object, complete and without anything else", async () => {
    await using db = await open<unknown>();
    const { version, stamp } = await db.set("k", { n: 1 });
    const expiresAt = Date.now() + 1e6;
    const timed = await db.set("t", 2, { expiresAt });
    const expected: Entry[] = [
      { key: "k", value: { n: 1 }, version, stamp },
      { key: "t", value: 2, version: timed.version, stamp: timed.stamp, expiresAt },
    ];
    for (const entries of [[...db.list()], [db.entry("k"), db.entry("t")]] as Entry[][]) {
      expect(entries).toStrictEqual(expected);
      expect(entries.map((entry) => ({ ...entry }))).toStrictEqual(expected);
      expect(JSON.parse(JSON.stringify(entries))).toStrictEqual(expected);
      expect(inspect(entries)).toBe(inspect(expected));
      expect(Object.keys(entries[0])).toEqual(["key", "value", "version", "stamp"]);
    }
  });

  test("several keys are read after all of them are known", async () => {
    await using db = await numbered(3);
    function* keys(): Iterable<number> {
      yield 0;
      void db.set(0, 10);
      yield 1;
      void db.set(1, 11);
    }
    expect(db.getMany(keys())).toEqual([10, 11]);
  });
});

describe("an iteration", () => {
  const pinned = async (db: Store<number>): Promise<number> => {
    await db.set(0, 0);
    await db.flush();
    return db.status().memory.oldVersions;
  };

  test("ends once, and is independent of another over the same listing", async () => {
    await using db = await numbered(3);
    const listing = db.values();
    const one = listing[Symbol.iterator]();
    const other = listing[Symbol.iterator]();
    expect([one.next(), one.next()]).toEqual([0, 1].map((value) => ({ done: false, value })));
    expect(other.next().value).toBe(0);
    expect([one.next().value, one.next(), one.next()]).toEqual([
      2,
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect(await pinned(db)).toBe(1);
    other.return?.();
    other.return?.();
    expect(other.next()).toEqual({ done: true, value: undefined });
    expect(await pinned(db)).toBe(0);
    expect([...listing]).toEqual([0, 1, 2]);
  });

  test("holds nothing before it begins, nor after an error of the codec", async () => {
    const codec: Codec<number> = {
      name: "fragile",
      encode: (value) => Uint8Array.of(value),
      decode: ([byte]) => {
        if (byte === 1) throw new Error("a mistake of the codec");
        return byte;
      },
    };
    await using db = await numbered(3, { codec });
    void db.list()[Symbol.iterator]();
    void db.list()[Symbol.asyncIterator]();
    expect(await pinned(db)).toBe(0);
    const iterator = db.list()[Symbol.iterator]();
    iterator.next();
    expect(() => iterator.next()).toThrow("a mistake of the codec");
    expect(iterator.next().done).toBe(true);
    await expect(failing(db.list())).rejects.toThrow("a mistake of the codec");
    expect(await pinned(db)).toBe(0);
  });

  async function failing(items: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of items);
  }

  test("judges deadlines by the moment when it began", async () => {
    const clock = { ms: 1_700_000_000_000, wallMs: () => clock.ms, monotonicMs: () => 0 };
    await using db = await open<number>(undefined, { runtime: { ...nodeRuntime(), clock } });
    for (const key of [1, 2, 3]) await db.set(key, key, { ttl: 100 });
    const seen: unknown[] = [];
    for (const { key, expiresAt } of db.list()) {
      seen.push([key, expiresAt]);
      clock.ms += 200;
    }
    expect(seen).toEqual([1, 2, 3].map((key) => [key, 1_700_000_000_100]));
    expect([[...db.list()], db.count(), db.get(1), db.entry(1)]).toEqual([[], 0, undefined, undefined]);
    const expired = { key: 1, value: undefined, expiresAt: 1_700_000_000_100, tombstone: "expired" };
    expect(db.entry(1, { tombstones: true })).toMatchObject(expired);
  });

  test("in steps: answers come in the order of the questions, also across a turn of the event loop", async () => {
    await using db = await numbered(2000);
    const iterator = db.values()[Symbol.asyncIterator]();
    const answers = await Promise.all(Array.from({ length: 2002 }, () => iterator.next()));
    expect(answers.map(({ value }) => value)).toEqual([...Array(2000).keys(), undefined, undefined]);
    expect(await pinned(db)).toBe(0);
  });

  test("in steps: lets the event loop turn after a number of entries and after a time", async () => {
    const clock = new ManualClock();
    let asked = false;
    let turns = 0;
    const turn = (): Promise<void> => {
      if (asked) turns++;
      return nodeRuntime().timers.turn();
    };
    const timers = { ...nodeRuntime().timers, turn };
    await using db = await numbered(5000, { runtime: { ...nodeRuntime(), clock, timers } });
    /** Counts the turns that the iteration itself takes: others take some, too. */
    const walk = async (limit: number, stepMs: number): Promise<number> => {
      const iterator = db.keys({ limit })[Symbol.asyncIterator]();
      turns = 0;
      for (let done: boolean | undefined = false; done !== true; ) {
        asked = true;
        const answer = iterator.next();
        asked = false;
        done = (await answer).done;
        clock.ms += stepMs;
      }
      return turns;
    };
    expect(await walk(5000, 0)).toBe(4);
    expect(await walk(100, 1)).toBe(25);
  });

  test("in steps: what cannot be read any more holds up the event loop no longer than what can", async () => {
    const clock = { ms: 1_700_000_000_000, wallMs: () => clock.ms, monotonicMs: () => 0 };
    await using db = await open<number>(undefined, { runtime: { ...nodeRuntime(), clock } });
    const keys = 10_000;
    await db.batch(
      Array.from({ length: keys }, (_, i) => ({ type: "set", key: i, value: i, ttl: 100 }) as const),
    );
    await db.set(keys, 1);
    const { engine } = portOf(db);
    const looks = vi.spyOn(engine, "offset");
    for (const isLate of [false, true]) {
      if (isLate) clock.ms += 200;
      const iterator = db.keys({ limit: 2, gte: isLate ? 0 : keys - 1 })[Symbol.asyncIterator]();
      const [first, second] = [iterator.next(), iterator.next()];
      // What it does before the event loop has turned: some looks at each record.
      expect(looks.mock.calls.length).toBeLessThan(8 * 1024);
      expect([(await first).value, (await second).value]).toEqual(
        isLate ? [keys, undefined] : [keys - 1, keys],
      );
    }
    expect(looks.mock.calls.length).toBeGreaterThan(keys);
  });

  test("in steps: answers come in the order of the questions, also where most cannot be read", async () => {
    await using db = await numbered(20_000);
    using kept = db.snapshot();
    await db.clear({ gte: 100, lt: 19_900 });
    const iterator = db.values()[Symbol.asyncIterator]();
    const asked = Array.from({ length: 150 }, () => iterator.next());
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    asked.push(...Array.from({ length: 52 }, () => iterator.next()));
    const values = (await Promise.all(asked)).map(({ value }) => value);
    const left = Array.from({ length: 100 }, (_, i) => i);
    expect(values).toEqual([...left, ...left.map((i) => 19_900 + i), undefined, undefined]);
    expect(kept.count()).toBe(20_000);
  });

  test("in steps: one that is left lets go at once, also while the event loop turns", async () => {
    await using db = await numbered(2000, { runtime: { ...nodeRuntime(), clock: new ManualClock() } });
    const iterator = db.values()[Symbol.asyncIterator]();
    for (let i = 0; i < 1024; i++) await iterator.next();
    const late = iterator.next();
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await pinned(db)).toBe(0);
    expect(await late).toEqual({ done: true, value: undefined });
  });
});

test.each(["the store", "a snapshot of it"])(
  "a listing of %s ends with CLOSED when the store closes",
  async (what) => {
    const db = await numbered(10);
    const begun = (what === "the store" ? db : db.snapshot()).list();
    const [iterator, steps] = [begun[Symbol.iterator](), begun[Symbol.asyncIterator]()];
    iterator.next();
    await steps.next();
    const closed = db.close();
    const code = expect.objectContaining({ code: "CLOSED" });
    expect(() => iterator.next()).toThrow(code);
    await expect(steps.next()).rejects.toEqual(code);
    await closed;
    // It is over then, as after any error.
    expect([iterator.next().done, (await steps.next()).done]).toEqual([true, true]);
  },
);

class ManualClock implements Clock {
  ms = 0;

  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return this.ms;
  }
}
