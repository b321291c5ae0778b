import * as v from "valibot";
import { afterEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import {
  type CommitEvent,
  dump,
  load,
  type Namespace,
  open,
  type StandardSchema,
  type Store,
} from "../../src/index.js";
import { namespacePrefix } from "../../src/keys/namespace.js";
import { temporaryDirectory } from "./fixture.js";

afterEach(() => {
  vi.useRealTimers();
});

/** The same rules in two libraries: trims names, fills in a role, refuses negative ages. */
const inZod = z.object({
  name: z.string().trim().min(1),
  age: z.number().int().nonnegative(),
  role: z.enum(["user", "admin"]).default("user"),
});
const inValibot = v.object({
  name: v.pipe(v.string(), v.trim(), v.minLength(1)),
  age: v.pipe(v.number(), v.integer(), v.minValue(0)),
  role: v.optional(v.picklist(["user", "admin"]), "user"),
});
const SCHEMAS = [
  ["zod", inZod],
  ["valibot", inValibot],
] as const;

interface Mistake {
  readonly code: string;
  readonly details: {
    readonly namespace: string;
    readonly key: unknown;
    readonly issues: { path: unknown[] }[];
  };
}

async function mistakeOf(work: () => unknown): Promise<Mistake> {
  try {
    await work();
  } catch (error) {
    return error as Mistake;
  }
  throw new Error("nothing was refused");
}

describe.each(SCHEMAS)("a schema of %s", (_, schema) => {
  const given = { name: " Ada ", age: 36 };
  const stored = { name: "Ada", age: 36, role: "user" };
  const wrong = { name: "Ada", age: -1 };

  test("makes what is stored of what is given, in every way to write", async () => {
    await using db = await open();
    const users = db.namespace("users", { schema });
    await users.set("set", given);
    await users.batch([{ type: "set", key: "batch", value: given }]);
    await users.create("create", given);
    await users.compareAndSwap("swap", undefined, given);
    // What is expected is what was read: it is not validated.
    await users.compareAndSwap("swap", users.get("swap"), { ...given, age: 37 });
    await users.atomic().set("atomic", given).commit();
    await db.atomic().in(users).set("atomic too", given).commit();
    await db.transact((tx) => {
      tx.in(users).set("transact", given);
      expect(tx.in(users).get("transact")).toEqual(stored);
    });
    expect(users.count()).toBe(7);
    for (const { key, value } of users.list()) {
      expect(value).toEqual(key === "swap" ? { ...stored, age: 37 } : stored);
    }
  });

  test("refuses in every way to write, with what is wrong, and changes nothing", async () => {
    await using db = await open();
    const users = db.namespace("users", { schema });
    const { version } = await users.set("ada", given);
    for (const write of [
      () => users.set("ada", wrong),
      () =>
        users.batch([
          { type: "delete", key: "ada" },
          { type: "set", key: "b", value: wrong },
        ]),
      () => users.create("new", wrong),
      () => users.compareAndSwap("ada", users.get("ada"), wrong),
      () => users.atomic().set("ada", wrong).commit(),
      () => db.transact((tx) => tx.in(users).set("ada", wrong)),
    ]) {
      const mistake = await mistakeOf(write);
      expect(mistake).toBeInstanceOf(TypeError);
      expect(mistake.code).toBe("SCHEMA_MISMATCH");
      expect(mistake.details.namespace).toBe("users");
      expect(mistake.details.issues.map(({ path }) => path)).toEqual([["age"]]);
    }
    expect(db.version).toBe(version);
    expect([...users.values()]).toEqual([stored]);
  });
});

test("a schema that validates asynchronously is refused, and what becomes of its promise does not matter", async () => {
  await using db = await open();
  const failing: StandardSchema<string> = {
    "~standard": { version: 1, vendor: "test", validate: () => Promise.reject(new Error("late")) },
  };
  const schemas = [
    z.string().refine(async () => true),
    v.pipeAsync(
      v.string(),
      v.checkAsync(async () => true),
    ),
    failing,
  ];
  for (const schema of schemas) {
    const names = db.namespace("names", { schema: schema as StandardSchema<string> });
    expect((await mistakeOf(() => names.set("a", "b"))).code).toBe("SCHEMA_ASYNC");
    expect(names.get("a")).toBeUndefined();
  }
});

test("what is no schema, no codec, no name and no option is refused", async () => {
  await using db = await open(undefined, { limits: { keyBytesMax: 20 } });
  for (const schema of [{}, { "~standard": { version: 2, validate: () => ({ value: 1 }) } }, 5, null]) {
    expect(() => db.namespace("a", { schema: schema as never })).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  }
  const code = (action: () => unknown) => mistakeOf(action).then((mistake) => mistake.code);
  expect(await code(() => db.namespace("a", { codec: "xml" as never }))).toBe("INVALID_ARGUMENT");
  expect(await code(() => db.namespace(undefined as never))).toBe("INVALID_ARGUMENT");
  expect(await code(() => db.namespace("a", { ttl: 0 }))).toBe("INVALID_ARGUMENT");
  expect(await code(() => db.namespace("a", { prefix: 1 } as never))).toBe("UNKNOWN_OPTION");
  expect(await code(() => db.namespace("x".repeat(19)))).toBe("KEY_TOO_LARGE");
  expect(await code(() => db.namespace("x".repeat(18)).get("a"))).toBe("KEY_TOO_LARGE");
  expect(db.namespace("x".repeat(18)).get("")).toBeUndefined();
});

test("increments validate the sum, which the schema must leave as it is", async () => {
  await using db = await open();
  const small = db.namespace("small", { schema: z.number().max(2) });
  await small.increment("a");
  expect((await small.increment("a")).value).toBe(2);
  for (const more of [
    () => small.increment("a"),
    () => small.atomic().increment("a").commit(),
    () => db.transact((tx) => tx.in(small).increment("a")),
  ]) {
    expect((await mistakeOf(more)).code).toBe("SCHEMA_MISMATCH");
  }
  expect(small.get("a")).toBe(2);
  const doubled = db.namespace("doubled", { schema: z.number().transform((value) => 2 * value) });
  expect((await mistakeOf(() => doubled.increment("a"))).code).toBe("SCHEMA_MISMATCH");
  expect(doubled.get("a")).toBeUndefined();
});

/** The same keys in the store and in namespaces whose names begin with each other. */
async function crowded(): Promise<{ db: Store<string>; spaces: (Store<string> | Namespace<string>)[] }> {
  const db = await open<string>();
  const spaces = [db, ...["a", "a\0", "ab", "\u{10ffff}"].map((name) => db.namespace<string>(name))];
  for (const [i, space] of spaces.entries()) {
    for (const key of ["", "k", "\u{10ffff}", 1, 2n, true, Uint8Array.of(255), ["t", 1]])
      await space.set(key, `${i}`);
  }
  return { db, spaces };
}

test("each namespace, and the store, shows and changes its own keys only", async () => {
  const { db, spaces } = await crowded();
  await using _ = db;
  for (const [i, space] of spaces.entries()) {
    const own = Array.from({ length: 8 }, () => `${i}`);
    expect([...space.values()]).toEqual(own);
    expect([...space.list({ reverse: true })].map(({ value }) => value)).toEqual(own);
    expect(space.count()).toBe(8);
    expect([...space.keys({ gte: "k", lte: 1 })]).toEqual(["k", "\u{10ffff}", Uint8Array.of(255), 1]);
    expect([...space.keys({ prefix: "" })]).toEqual(["", "k", "\u{10ffff}"]);
    expect([...space.keys({ gt: Uint8Array.of(0) })]).toEqual([Uint8Array.of(255), 1, 2n, true, ["t", 1]]);
    expect(space.getMany(["k", 1, "none"])).toEqual([`${i}`, `${i}`, undefined]);
    expect(space.entry(["t", 1])).toMatchObject({ key: ["t", 1], value: `${i}` });
    await db.transact((tx) => {
      const inside = i === 0 ? tx.in(db) : tx.in(space as Namespace<string>);
      inside.set("own", "write");
      expect(inside.count()).toBe(9);
      expect([...inside.list()].map(({ value }) => value)).toContain("write");
      inside.delete("own");
    });
  }
  const before = db.digest();
  expect((await spaces[1].clear()).deleted).toBe(8);
  expect(db.digest()).not.toBe(before);
  expect(spaces.map((space) => space.count())).toEqual([8, 0, 8, 8, 8]);
  expect((await db.clear()).deleted).toBe(8);
  expect(spaces.map((space) => space.count())).toEqual([0, 0, 8, 8, 8]);
});

test("a namespace has snapshots, conditions and lifetimes as a store has", async () => {
  await using db = await open();
  const names = db.namespace<string>("names");
  await names.set("a", "1");
  using snapshot = names.snapshot();
  expect(await names.create("a", "2")).toMatchObject({ ok: false, current: { key: "a", value: "1" } });
  expect(await names.compareAndSwap("a", "1", "2")).toMatchObject({ ok: true });
  expect(await names.set("a", "3", { previous: true })).toMatchObject({ previous: { key: "a", value: "2" } });
  expect([snapshot.get("a"), names.get("a"), db.get("a")]).toEqual(["1", "3", undefined]);
  await names.touch("a", 60_000);
  expect(names.ttl("a")).toBeGreaterThan(0);
  await names.persist("a");
  expect(names.ttl("a")).toBe(Number.POSITIVE_INFINITY);
  await names.delete("a");
  expect(names.entry("a", { tombstones: true })).toMatchObject({ key: "a", tombstone: "deleted" });
});

test("a lifetime of the namespace counts when a write gives none, and only then", async () => {
  await using db = await open();
  const short = db.namespace<number>("short", { ttl: 3_600_000 });
  const lives = (key: string) => {
    const left = short.ttl(key);
    return left !== undefined && left > 1_800_000 && left <= 3_600_000;
  };
  await short.set("set", 1);
  await short.create("create", 1);
  await short.batch([{ type: "set", key: "batch", value: 1 }]);
  await short.increment("new counter");
  await short.atomic().set("atomic", 1).increment("atomic counter").commit();
  await db.transact((tx) => tx.in(short).set("transact", 1));
  for (const key of short.keys()) expect(lives(key as string), String(key)).toBe(true);
  expect(short.count()).toBe(7);

  const forEver = Number.POSITIVE_INFINITY;
  await short.set("ttl", 1, { ttl: forEver });
  await short.set("expiresAt", 1, { expiresAt: forEver });
  await short.increment("ttl");
  await short.atomic().increment("ttl").set("twice", 1, { ttl: forEver }).increment("twice").commit();
  await db.transact((tx) => tx.in(short).increment("ttl"));
  expect(["ttl", "expiresAt", "twice"].map((key) => short.ttl(key))).toEqual([forEver, forEver, forEver]);
  expect(short.get("ttl")).toBe(4);
  await short.persist("set");
  expect(short.ttl("set")).toBe(forEver);
  await short.set("set", 2, { ttl: 36_000_000 });
  expect(short.ttl("set")).toBeGreaterThan(18_000_000);
});

test("each namespace has a codec of its own, and else the store's", async () => {
  await using db = await open<Uint8Array>(undefined, { codec: "bytes" });
  const texts = db.namespace<string>("texts", { codec: "text" });
  const big = db.namespace<bigint>("big", {
    codec: {
      name: "big",
      encode: (value) => new TextEncoder().encode(String(value)),
      decode: (bytes) => BigInt(new TextDecoder().decode(bytes)),
    },
  });
  const same = db.namespace("same");
  await texts.set("a", "text");
  await big.set("a", 1n);
  await same.set("a", Uint8Array.of(9));
  await db.transact((tx) => {
    tx.in(big).increment("a", 2n ** 64n);
    tx.in(big).increment("a", 1n);
    expect(tx.in(big).get("a")).toBe(2n ** 64n + 2n);
    expect(tx.in(texts).get("a")).toBe("text");
  });
  await db.atomic().in(big).set("b", 1n).increment("b", 2n).commit();
  expect([big.get("a"), big.get("b"), same.get("a")]).toEqual([2n ** 64n + 2n, 3n, Uint8Array.of(9)]);
});

test("a transaction spans namespaces: one commit, one validation, one line of savepoints", async () => {
  await using db = await open<number>();
  const [one, two] = [db.namespace<number>("one"), db.namespace<number>("two")];
  const commits: number[] = [];
  db.watch({}, ({ version }) => commits.push(version));
  one.watch({}, ({ version }) => commits.push(version));
  let runs = 0;
  await db.transact(async (tx) => {
    runs++;
    const seen = tx.in(one).get("a") ?? 0;
    tx.set("plain", seen);
    tx.in(one).set("b", seen);
    const savepoint = tx.in(two).savepoint();
    tx.in(one).set("gone", 1);
    tx.rollbackTo(savepoint);
    if (runs === 1) await one.set("a", 5);
  });
  expect(runs).toBe(2);
  expect([db.get("plain"), one.get("b"), one.get("gone")]).toEqual([5, 5, undefined]);
  expect(commits.slice(-2)).toEqual([db.version, db.version]);

  const refused = await mistakeOf(() =>
    db.transact(
      async (tx) => {
        tx.in(one).get("a");
        tx.set("x", 1);
        await one.increment("a");
      },
      { retries: 0 },
    ),
  );
  expect(refused).toMatchObject({ code: "CONFLICT", conflicts: [{ namespace: "one", key: "a" }] });
});

test("an atomic operation spans namespaces: all checks, then all writes", async () => {
  await using db = await open<number>();
  const one = db.namespace<number>("one");
  await one.set("a", 1);
  const refused = await db
    .atomic()
    .set("x", 1)
    .in(one)
    .check({ key: "a", exists: false })
    .set("a", 2)
    .commit();
  expect(refused).toMatchObject({ ok: false, failed: [{ index: 0, key: "a" }] });
  const plan = db.atomic().check({ key: "x", exists: false }).set("x", 1);
  plan.in(one).check({ key: "a", exists: true }).set("a", 2);
  expect(await plan.in(one).in(db).commit()).toMatchObject({ ok: true });
  expect([db.get("x"), one.get("a")]).toEqual([1, 2]);
  expect((await mistakeOf(() => plan.in(one).set("a", 3))).code).toBe("TRANSACTION_ENDED");
});

test("namespaces of another store, and what is none, are refused in transactions", async () => {
  await using db = await open<number>();
  await using other = await open<number>();
  const foreign = other.namespace<number>("one");
  for (const given of [foreign, other, {}]) {
    const wrong = given as typeof foreign;
    expect((await mistakeOf(() => db.transact((tx) => tx.in(wrong)))).code).toBe("INVALID_ARGUMENT");
    expect((await mistakeOf(() => db.atomic().in(wrong))).code).toBe("INVALID_ARGUMENT");
  }
});

test("watches of a namespace show its part of each commit, with its keys and values", async () => {
  await using db = await open();
  const texts = db.namespace<string>("texts", { codec: "text" });
  const events: CommitEvent<string>[] = [];
  const plain: CommitEvent[] = [];
  texts.watch({ prefix: "a" }, (commit) => events.push(commit));
  db.watch({}, (commit) => plain.push(commit));
  await db.atomic().set("plain", 1).in(texts).set("ab", "text").set("b", "not watched").commit();
  await texts.delete("ab");
  expect(events.map(({ changes }) => changes.map(({ type, key, value }) => [type, key, value]))).toEqual([
    [["set", "ab", "text"]],
    [["delete", "ab", undefined]],
  ]);
  expect(plain.map(({ changes }) => changes.map(({ key }) => key))).toEqual([["plain"]]);
});

test("dumps carry namespaces, of all of the store or of one", async () => {
  const { db, spaces } = await crowded();
  await using _ = db;
  const whole = await lines(dump(db));
  expect(whole).toHaveLength(2 + 5 * 8);
  await using copy = await open<string>();
  await load(copy, whole);
  expect(await lines(dump(copy))).toEqual([expect.anything(), ...whole.slice(1)]);
  expect(copy.namespace("a\0").get(["t", 1])).toBe("2");
  const one = await lines(dump(spaces[3] as Namespace<string>, { prefix: "k" }));
  expect(one.slice(1, -1)).toEqual(['{"namespace":"ab","key":"k","value":"3"}\n']);
  expect(await lines(dump(db, {}))).toHaveLength(2 + 8);
  for (const namespace of ['""', "null", "1"]) {
    const line = `{"namespace":${namespace},"key":"a","value":1}`;
    expect((await mistakeOf(() => load(copy, [line]))).code).toBe("DUMP_INVALID");
  }
});

async function lines(pieces: AsyncIterable<string>): Promise<string[]> {
  let text = "";
  for await (const piece of pieces) text += piece;
  return text.match(/.*\n/g) ?? [];
}

test("namespaces come back with the directory, through checkpoint, log and backup", async () => {
  const directory = await temporaryDirectory();
  {
    await using db = await open<number>(directory);
    await db.namespace<number>("a").set("checkpoint", 1);
    await db.checkpoint();
    await db.namespace<number>("a").set("log", 2);
  }
  await using db = await open<number>(directory);
  expect([...db.namespace<number>("a").keys()]).toEqual(["checkpoint", "log"]);
  expect(db.count()).toBe(0);
  expect(namespacePrefix("a")).toEqual(Uint8Array.of(0xf5, 0x61, 0));
});
