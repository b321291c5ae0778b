import { once } from "node:events";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Codec,
  type ListOptions,
  type Namespace,
  type OpenOptions,
  open,
  openReader,
  type SharedNamespace,
  type SharedReader,
  type StandardSchema,
  type Store,
} from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

const coded = (code: string): unknown => expect.objectContaining({ code });

const opened: { close(): Promise<unknown> }[] = [];
const workers: Worker[] = [];
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
  for (const each of opened.splice(0).reverse()) await each.close();
});

async function openShared<V = unknown>(options: OpenOptions<V> = {}): Promise<Store<V>> {
  const db = await open<V>(undefined, { shared: true, ...options });
  opened.push(db);
  return db;
}

async function readerOf<V>(db: Store<V>, options = {}): Promise<SharedReader<V>> {
  const reader = await openReader<V>(db.readerHandle(), options);
  opened.push(reader);
  return reader;
}

/** Values that are numbers; they are stored negated, so that no other codec gives the same. */
const negated: Codec<number> = {
  name: "negated",
  encode: (value) => Uint8Array.of(255 - value),
  decode: (bytes) => 255 - bytes[0],
};

const atLeastOne: StandardSchema<string, number> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const number = Number(value);
      return number >= 1 ? { value: number } : { issues: [{ message: "at least 1" }] };
    },
  },
};

const KEYS = ["", "a", "é", 0, -7, 3n, true, ["a"], ["a", 1], ["b", ["c"]]] as const;
const RANGES: readonly ListOptions[] = [
  {},
  { prefix: ["a"] },
  { gt: "a" },
  { gte: -7, lt: "é" },
  { gt: 7, lt: 0 },
];

/** Everything that can be read of a namespace is the same on both sides. */
function expectSame(own: Namespace<unknown>, shared: SharedNamespace<unknown>): void {
  for (const key of [...KEYS, "never"]) {
    expect(shared.get(key)).toEqual(own.get(key));
    expect(shared.has(key)).toBe(own.has(key));
    expect(shared.entry(key)).toEqual(own.entry(key));
  }
  for (const range of RANGES) {
    expect(shared.count(range)).toBe(own.count(range));
    for (const options of [range, { ...range, reverse: true }, { ...range, limit: 3 }]) {
      expect([...shared.list(options)]).toEqual([...own.list(options)]);
      expect([...shared.keys(options)]).toEqual([...own.keys(options)]);
      expect([...shared.values(options)]).toEqual([...own.values(options)]);
    }
  }
}

describe("a namespace of a reader", () => {
  test("shows what the store's own shows, and nothing of others", async () => {
    const db = await openShared();
    const names = ["a", "a\u0000", "a\u0001", "ab", "ä"];
    for (const [i, name] of names.entries()) {
      for (const key of KEYS.slice(i)) await db.namespace(name).set(key, { name, i }, { ttl: 1e9 });
      await db.set(KEYS[i], "the store's own");
      await db.namespace(name).delete(KEYS[i]);
    }
    const reader = await readerOf(db);
    expect(reader.namespaces()).toEqual([...names].sort());
    expect(reader.namespaces()).toEqual(db.namespaces());
    for (const name of [...names, "never written"]) {
      expect(reader.namespace(name).name).toBe(name);
      expectSame(db.namespace(name), reader.namespace(name));
    }
    expect([...reader.keys()]).toEqual([...db.keys()]);
    expect(reader.count()).toBe(names.length);
  });

  test("has the codec that it is given, or the store's", async () => {
    const db = await openShared<Uint8Array>({ codec: "bytes" });
    const options = { codec: negated };
    await db.namespace("numbers", options).set("k", 7);
    await db.namespace<string>("text", { codec: "text" }).set("k", "seven");
    await db.namespace("bytes").set("k", Uint8Array.of(1, 2));
    const reader = await readerOf(db, { codec: "bytes" });
    const numbers = reader.namespace("numbers", options);
    expect([numbers.get("k"), numbers.entry("k")?.value, ...numbers.values()]).toEqual([7, 7, 7]);
    expect(reader.namespace<string>("text", { codec: "text" }).get("k")).toBe("seven");
    expect(reader.namespace("bytes").get("k")).toEqual(Uint8Array.of(1, 2));
    expect(reader.namespace("numbers").get("k")).toEqual(Uint8Array.of(248));
  });

  test("takes the options of the store: a schema is not asked again, a lifetime ends when it does", async () => {
    const machine = simulatedStorage({ cryptography: nodeCryptography });
    const { runtime } = machine;
    const db = await openShared({ runtime });
    const options = { schema: atLeastOne, ttl: 1000 };
    await db.namespace("n", options).set("k", "5");
    await db.namespace<number>("n").set("beside", 0, { ttl: 5000 });
    const reader = await readerOf(db, { runtime });
    const part = reader.namespace("n", options);
    expect([part.get("k"), part.get("beside"), part.count()]).toEqual([5, 0, 2]);
    await machine.advance(1000);
    expect([part.get("k"), part.has("k"), ...part.keys()]).toEqual([undefined, false, "beside"]);
    expect(reader.namespaces()).toEqual(["n"]);
    // More than one read looks at, all of which has expired, in front of what has not; nobody has swept it.
    const many = Array.from(
      { length: 5000 },
      (_, i) => ({ type: "set", key: i, value: 0, ttl: 500 }) as const,
    );
    await db.namespace<number>("many").batch([...many, { type: "set", key: ["z"], value: 1, ttl: 1500 }]);
    reader.refresh();
    await machine.advance(500);
    expect(reader.namespaces()).toEqual(["many", "n"]);
    await machine.advance(3500);
    expect([part.count(), reader.namespaces(), db.namespaces()]).toEqual([0, [], []]);
  });

  test("is of its reader's state, and goes on and ends with it", async () => {
    const db = await openShared<number>();
    const [left, right] = [db.namespace<number>("left"), db.namespace<number>("right")];
    const put = (value: number): Promise<unknown> =>
      db.transact((tx) => {
        tx.set("k", value);
        tx.in(left).set("k", value);
        tx.in(right).set(value, value);
      });
    await right.set(0, 1);
    await put(1);
    const reader = await readerOf(db);
    const [itsLeft, itsRight] = [reader.namespace<number>("left"), reader.namespace<number>("right")];
    await put(2);
    const walk = itsRight.values()[Symbol.iterator]();
    expect(walk.next().value).toBe(1);
    const later = reader.namespace<number>("right");
    expect([reader.get("k"), itsLeft.get("k"), itsRight.count(), later.count()]).toEqual([1, 1, 2, 2]);
    expect(itsLeft.version).toBe(reader.version);
    reader.refresh();
    expect(() => walk.next()).toThrow(coded("REVOKED"));
    expect([reader.get("k"), itsLeft.get("k"), itsRight.count(), later.count()]).toEqual([2, 2, 3, 3]);
    expect(itsLeft.version).toBe(db.version);
    await reader.close();
    for (const read of [() => itsLeft.get("k"), () => later.count(), () => reader.namespaces()]) {
      expect(read).toThrow(coded("CLOSED"));
    }
  });

  test("is refused for what the store refuses", async () => {
    const db = await openShared({ limits: { keyBytesMax: 40 } });
    const reader = await readerOf(db);
    const namespaceOf: ((name: string, options: object) => unknown)[] = [
      (name, options) => db.namespace(name, options),
      (name, options) => reader.namespace(name, options),
    ];
    const refused: [unknown, unknown, string][] = [
      ["", {}, "INVALID_ARGUMENT"],
      [undefined, {}, "INVALID_ARGUMENT"],
      [5, {}, "INVALID_ARGUMENT"],
      ["x".repeat(256), {}, "INVALID_ARGUMENT"],
      ["x".repeat(39), {}, "KEY_TOO_LARGE"],
      ["a", { lifetime: 5 }, "UNKNOWN_OPTION"],
      ["a", { codec: "none" }, "INVALID_ARGUMENT"],
      ["a", { ttl: 0 }, "INVALID_ARGUMENT"],
      ["a", { schema: { parse: () => 1 } }, "INVALID_ARGUMENT"],
    ];
    for (const [name, options, code] of refused) {
      for (const take of namespaceOf) {
        expect(() => take(name as string, options as object)).toThrow(coded(code));
      }
    }
    const part = reader.namespace("abcdef");
    expect(() => part.get("x".repeat(33))).toThrow(coded("KEY_TOO_LARGE"));
    expect(part.get("x".repeat(32))).toBeUndefined();
    expect(() => part.list({ gt: Number.NaN })).toThrow(coded("INVALID_KEY"));
  });

  test(`is the same for any names and keys (seed ${SEED})`, async () => {
    const name = fc.string({
      unit: fc.constantFrom("\u0000", "\u0001", "\u0002", "a", "ÿ"),
      minLength: 1,
      maxLength: 3,
    });
    const key = fc.constantFrom(...KEYS);
    const write = fc.record({ name: fc.option(name), key, isDeleted: fc.boolean() });
    const check = async (
      writes: readonly { name: string | null; key: (typeof KEYS)[number]; isDeleted: boolean }[],
    ) => {
      await using db = await open(undefined, { shared: true });
      for (const { name, key, isDeleted } of writes) {
        const part = name === null ? db : db.namespace(name);
        await (isDeleted ? part.delete(key) : part.set(key, { name, key: String(key) }));
      }
      await using reader = await openReader(db.readerHandle());
      expect(reader.namespaces()).toEqual(db.namespaces());
      for (const each of new Set(writes.map(({ name }) => name ?? "none"))) {
        expectSame(db.namespace(each), reader.namespace(each));
      }
      expect([...reader.list()]).toEqual([...db.list()]);
    };
    await fc.assert(fc.asyncProperty(fc.array(write, { maxLength: 60 }), check), { seed: SEED, numRuns: 30 });
  });
});

test("threads see one state of all namespaces, while they are written", async () => {
  const db = await openShared<number>();
  const parts = ["a", "b", "c"].map((name) => db.namespace<string>(name, { codec: "text" }));
  const commit = (amount: number): Promise<unknown> =>
    db.transact((tx) => {
      tx.set("sum", amount);
      // One of them holds the amount; the others are empty, and so are none.
      for (const [i, part] of parts.entries()) {
        if (i === amount % 3) tx.in(part).set(["k", amount % 7], String(amount));
        else for (const key of part.keys()) tx.in(part).delete(key);
      }
      for (const key of parts[amount % 3].keys()) tx.in(parts[amount % 3]).delete(key);
      tx.in(parts[amount % 3]).set(["k", amount % 7], String(amount));
    });
  await commit(0);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const handle = db.readerHandle();
  const worker = new Worker(new URL("./reader-thread.mjs", import.meta.url), {
    workerData: { handle, task: "namespaces", stop },
    transferList: [handle.port],
  });
  workers.push(worker);
  let told = { states: 0, done: false };
  worker.on("message", (message) => {
    told = message;
  });
  const failed = once(worker, "error").then(([error]) => Promise.reject(error));
  failed.catch(() => undefined);
  const writing = (async () => {
    for (let amount = 1; !told.done; amount++) {
      await commit(amount);
      if (told.states >= 100) Atomics.store(stop, 0, 1);
      if (amount % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.race([writing, failed]);
  expect(told.states).toBeGreaterThanOrEqual(100);
}, 600_000);
