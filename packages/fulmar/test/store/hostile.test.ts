import { describe, expect, test, vi } from "vitest";
import {
  compareStamps,
  dump,
  type Key,
  keyFromJson,
  keyToJson,
  load,
  open,
  openReader,
  repair,
  restore,
  type Stamp,
  verify,
} from "../../src/index.js";
import { replicate } from "../../src/sync/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { failureOf, nested, revoked, transferred } from "../misuse/kinds.js";

type Any = never;

/** What is no array of bytes, whatever it says. */
const LIKE_BYTES = [
  () => new Proxy(new Uint8Array(32), {}),
  () => Object.create(Uint8Array.prototype) as Uint8Array,
];

test("a proxy that was revoked is refused by a code wherever it is given, and the store goes on", async () => {
  await using db = await open<unknown>();
  await db.set("k", 1);
  const bad = revoked();
  const argument = [
    () => db.list(bad),
    () => db.count(bad),
    () => db.set("k", 1, bad),
    () => db.batch(bad),
    () => db.batch([bad]),
    () => db.getMany(bad),
    () => db.watch("k", bad),
    () => db.watch("k", { signal: bad }),
    () => db.transact(() => {}, bad),
    () => db.transact(() => {}, { signal: bad }),
    () => db.namespace("n", bad),
    () => db.namespace("n", { schema: bad }),
    () => db.namespace("n", { codec: bad }),
    () => db.backup("/nowhere", { signal: bad }),
    () => dump(db, bad),
    () => load(db, bad),
    () => open(undefined, bad),
    () => open(undefined, { codec: bad }),
    () => open(undefined, { limits: bad }),
    () => open("/nowhere", { encryption: bad }),
    () => openReader(bad),
    () => replicate(db, { peers: bad }),
    () => compareStamps(bad, bad),
  ];
  for (const call of argument) expect(await failureOf(call), String(call)).toBe("TypeError INVALID_ARGUMENT");
  for (const key of [bad, ["t", bad]] as Key[]) {
    for (const call of [
      () => db.get(key),
      () => db.set(key, 1),
      () => keyToJson(key),
      () => keyFromJson(key),
      () => db.watch(key, () => {}),
    ])
      expect(await failureOf(call), String(call)).toBe("TypeError INVALID_KEY");
  }
  expect(await failureOf(() => db.list({ prefix: bad }))).toBe("TypeError INVALID_ARGUMENT");
  expect(await failureOf(() => db.set("k", bad))).toBe("TypeError INVALID_VALUE");
  expect(await failureOf(() => db.set("k", { deep: bad }))).toBe("TypeError INVALID_VALUE");
  expect([db.get("k"), db.version, db.status().state]).toEqual([1, 1, "open"]);
});

test("what a transaction throws comes back as it is, whatever it is", async () => {
  await using db = await open<number>();
  const bad = revoked() as unknown;
  let thrown: { readonly error: unknown } | undefined;
  const work = db.transact(() => {
    throw bad;
  });
  await work.catch((error: unknown) => {
    thrown = { error };
  });
  expect(thrown?.error === bad).toBe(true);
});

describe("surroundings that are not whole", () => {
  const given: (() => unknown)[] = [
    () => ({}),
    () => 5,
    () => "node",
    () => null,
    revoked,
    () => ({ clock: {} }),
  ];
  test.each(given)("are refused: %#", async (make) => {
    const options = { runtime: make() as Any };
    const calls = [
      () => open(undefined, options),
      () => open("/nowhere", options),
      () => verify("/nowhere", options),
      () => repair("/nowhere", options),
      () => restore("/nowhere", "/neither", options),
      () => openReader({} as Any, options),
    ];
    for (const call of calls) expect(await failureOf(call), String(call)).toBe("TypeError INVALID_ARGUMENT");
  });
});

test("a key that none can be has no JSON", () => {
  const others: unknown[] = [nested(), undefined, null, Symbol("s"), () => 1, {}, new Map(), Number.NaN];
  for (const key of [...others, ["a", undefined], transferred(), ...LIKE_BYTES.map((make) => make())])
    expect(() => keyToJson(key as Key)).toThrow(expect.objectContaining({ code: "INVALID_KEY" }));
});

test("only stamps are compared", () => {
  const stamp: Stamp = { hlc: 1, origin: "a".repeat(32), seq: 1 };
  expect(compareStamps(stamp, { ...stamp, seq: 3 })).toBe(-2);
  const others: unknown[] = [undefined, null, 5, "text", {}, { ...stamp, hlc: "1" }, { ...stamp, origin: 1 }];
  for (const other of others as Stamp[]) {
    const refused = expect.objectContaining({ code: "INVALID_ARGUMENT" });
    expect(() => compareStamps(stamp, other)).toThrow(refused);
    expect(() => compareStamps(other, stamp)).toThrow(refused);
  }
});

test("what only looks like bytes is no key of an encryption, no secret and no piece of a dump", async () => {
  const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  await using db = await open();
  for (const bytes of [...LIKE_BYTES.map((make) => make()), transferred()]) {
    const calls: [string, () => unknown][] = [
      ["TypeError INVALID_ARGUMENT", () => open("/data", { runtime, encryption: { key: bytes } })],
      [
        "FulmarError ENCRYPTION_KEY_WRONG",
        () => open("/data", { runtime, encryption: { current: "k", getKey: () => bytes } }),
      ],
      ["TypeError INVALID_ARGUMENT", () => replicate(db, { secret: bytes })],
      ["FulmarError DUMP_INVALID", () => load(db, [bytes])],
    ];
    for (const [failure, call] of calls) expect(await failureOf(call), String(call)).toBe(failure);
  }
});

test("only an AbortSignal ends a wait for peers", async () => {
  await using db = await open<number>();
  const replicator = await replicate(db);
  for (const signal of [null, 5, {}, { aborted: false }, revoked()] as Any[])
    expect(await failureOf(() => replicator.synced(undefined, { signal }))).toBe(
      "TypeError INVALID_ARGUMENT",
    );
  await replicator.close();
});

test("a codec that encodes asynchronously is refused, and its rejection ends nothing", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  try {
    const encode = async (): Promise<never> => {
      throw new Error("a mistake");
    };
    const codec = { name: "odd", encode: encode as () => Any, decode: () => 1 };
    await using db = await open<number>(undefined, { codec });
    expect(await failureOf(() => db.set("k", 1))).toBe("TypeError INVALID_VALUE");
    // Node looks for rejections that nobody handles before it goes on to the next phase.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
  } finally {
    process.off("unhandledRejection", unhandled);
  }
});

describe.each(["memory", "relaxed", "full"] as const)("a transaction at level %s", (durability) => {
  test("is made before anybody asks what it gives for a `then`, which may write", async () => {
    const { runtime } = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
    const db = await open<number>("/data", { runtime });
    const seen: unknown[] = [];
    const writes: Promise<unknown>[] = [];
    const given = new Proxy(() => 1, {
      get: (_, name) => {
        if (name !== "then") return undefined;
        seen.push(db.get("a"), db.version);
        writes.push(db.set("b", 2, { durability }));
      },
    });
    const result = db.transact(
      (tx) => {
        tx.set("a", 1);
        return given;
      },
      { durability },
    );
    expect((await result) === given).toBe(true);
    await Promise.all(writes);
    expect([seen, [...db.keys()], db.version]).toEqual([[1, 1], ["a", "b"], 2]);
    await db.close();
    const again = await open<number>("/data", { runtime });
    expect([...again.keys()]).toEqual(["a", "b"]);
    await again.close();
  });
});
