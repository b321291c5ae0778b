import { describe, expect, test } from "vitest";
import { type Codec, open, type StandardSchema, type Store, type Transaction } from "../../src/index.js";

type Value = number | { readonly toJSON: () => number };

/** What happens in the middle of encoding, decoding or validating, once it is armed. */
class Hook {
  work: (() => unknown) | undefined;
  met = 0;

  readonly run = (): void => {
    const { work } = this;
    if (work === undefined) return;
    // Not from within itself.
    this.work = undefined;
    this.met++;
    try {
      work();
    } finally {
      this.work = work;
    }
  };
}

/** JSON with one buffer for everything that is encoded, as a codec may have it. */
function hookedCodec(encoding: Hook, decoding: Hook): Codec<Value> {
  const shared = new Uint8Array(64);
  return {
    name: "hooked",
    encode(value) {
      encoding.run();
      const { written } = new TextEncoder().encodeInto(JSON.stringify(value), shared);
      return shared.subarray(0, written);
    },
    decode(bytes) {
      const before = new TextDecoder().decode(bytes);
      decoding.run();
      const after = new TextDecoder().decode(bytes);
      expect(after).toBe(before);
      return Number(after);
    },
  };
}

function schemaOf(hook: Hook): StandardSchema<Value> {
  const validate = (value: unknown) => {
    hook.run();
    return { value: value as Value };
  };
  return { "~standard": { version: 1, vendor: "test", validate } };
}

/** Within the function of another one it is that already, unless that has ended. */
const NESTED: unknown[] = ["NESTED_TRANSACTION", "REENTRANT"];

async function codeOf(work: () => unknown): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

type Part = Pick<
  Store<Value>,
  | "set"
  | "delete"
  | "batch"
  | "clear"
  | "create"
  | "compareAndSwap"
  | "increment"
  | "touch"
  | "persist"
  | "atomic"
  | "get"
  | "getMany"
  | "entry"
  | "list"
  | "values"
>;

/** Every way to change a store. */
function changes(db: Store<Value>, part: Part): [string, () => unknown][] {
  return [
    ["set", () => part.set("k", 100)],
    ["delete", () => part.delete("k")],
    ["batch", () => part.batch([{ type: "set", key: "k", value: 100 }])],
    ["clear", () => part.clear()],
    ["create", () => part.create("other", 100)],
    ["compareAndSwap", () => part.compareAndSwap("k", 5, 100)],
    ["increment", () => part.increment("k", 100)],
    ["touch", () => part.touch("k", 1000)],
    ["persist", () => part.persist("timed")],
    ["atomic", () => part.atomic().delete("k").commit()],
    ["transact", () => db.transact((tx) => tx.delete("k"))],
    ["sweep", () => db.sweep()],
    ["evict", () => db.evict({ entries: 1 })],
  ];
}

/** Every way to have something encoded or decoded on the way to a write of 6 or 5 + 1 to key k, which holds 5. */
function writes(db: Store<Value>, part: Part): [string, () => unknown][] {
  const inPart = (tx: Transaction<Value>): Transaction<Value> => tx.in(part as never);
  return [
    ["set", () => part.set("k", 6)],
    ["set, previous", () => part.set("k", 6, { previous: true })],
    ["batch", () => part.batch([{ type: "set", key: "k", value: 6 }])],
    ["compareAndSwap", () => part.compareAndSwap("k", 5, 6)],
    ["increment", () => part.increment("k", 1)],
    ["atomic set", () => part.atomic().set("k", 6).commit()],
    ["atomic increment", () => part.atomic().increment("k").commit()],
    ["atomic set and increment", () => part.atomic().set("k", 5).increment("k").commit()],
    ["transact, set", () => db.transact((tx) => inPart(tx).set("k", 6))],
    ["transact, get", () => db.transact((tx) => inPart(tx).set("k", Number(inPart(tx).get("k")) + 1))],
    ["transact, increment", () => db.transact((tx) => inPart(tx).increment("k"))],
    ["transact, later", () => db.transact(async (tx) => inPart(tx).increment("k"))],
  ];
}

function reads(part: Part): [string, () => unknown][] {
  return [
    ["get", () => part.get("k")],
    ["getMany", () => part.getMany(["k"])[0]],
    ["entry", () => part.entry("k")?.value],
    ["list", () => [...part.list({ prefix: "k" })][0].value],
    ["values", () => [...part.values({ prefix: "k" })][0]],
  ];
}

/** A store, a part of it, and what is called in the middle of its work. */
const WORLDS = {
  "encode of the store's codec": async () => {
    const hook = new Hook();
    const db = await open<Value>(undefined, { codec: hookedCodec(hook, new Hook()) });
    return { db, part: db as Part, hook, isReading: false };
  },
  "decode of the store's codec": async () => {
    const hook = new Hook();
    const db = await open<Value>(undefined, { codec: hookedCodec(new Hook(), hook) });
    return { db, part: db as Part, hook, isReading: true };
  },
  "encode of a namespace": async () => {
    const hook = new Hook();
    const db = await open<Value>();
    return { db, part: db.namespace("n", { codec: hookedCodec(hook, new Hook()) }), hook, isReading: false };
  },
  "decode of a namespace": async () => {
    const hook = new Hook();
    const db = await open<Value>();
    return { db, part: db.namespace("n", { codec: hookedCodec(new Hook(), hook) }), hook, isReading: true };
  },
  "validate of a schema": async () => {
    const hook = new Hook();
    const db = await open<Value>();
    return { db, part: db.namespace("n", { schema: schemaOf(hook) }), hook, isReading: false };
  },
};

describe.each(Object.entries(WORLDS))("%s", (_, make) => {
  test("may not change the store: REENTRANT, and what is going on goes on as if nothing had been", async () => {
    const world = await make();
    const { db, part, hook } = world;
    await using _db = db;
    for (const [writing, write] of writes(db, part)) {
      for (const [changing, change] of changes(db, part)) {
        const name = `${changing} during ${writing}`;
        await part.set("k", 5);
        await part.set("timed", 1, { ttl: 3_600_000 });
        const { version } = db;
        const errors: Promise<string | undefined>[] = [];
        hook.met = 0;
        hook.work = () => errors.push(codeOf(change));
        const outcome = await codeOf(write);
        hook.work = undefined;
        expect(outcome, name).toBe(undefined);
        const expected = changing === "transact" && writing.startsWith("transact,") ? NESTED : ["REENTRANT"];
        for (const error of errors) expect(expected, name).toContain(await error);
        if (!world.isReading) expect(hook.met, name).toBeGreaterThan(0);
        expect([part.get("k"), db.version], name).toEqual([6, version + 1]);
      }
    }
    expect(part.atomic().set("k", 1)).toBeDefined();
  });

  test("hands the error on when it does not catch it: nothing is done", async () => {
    const { db, part, hook, isReading } = await make();
    await using _db = db;
    for (const [name, write] of writes(db, part)) {
      await part.set("k", 5);
      const { version } = db;
      hook.met = 0;
      hook.work = () => db.sweep();
      const code = await codeOf(write);
      hook.work = undefined;
      if (hook.met === 0 && isReading) continue;
      expect([code, part.get("k"), db.version], name).toEqual(["REENTRANT", 5, version]);
    }
  });

  test("may read, in every way", async () => {
    const { db, part, hook } = await make();
    await using _db = db;
    for (const [writing, write] of writes(db, part)) {
      await part.set("k", 5);
      const seen: unknown[] = [];
      hook.work = () => seen.push(...reads(part).map(([, read]) => read()));
      await write();
      hook.work = undefined;
      expect(new Set(seen).size, writing).toBeLessThanOrEqual(1);
      expect(part.get("k"), writing).toBe(6);
    }
  });

  test("may close the store: what it closed in the middle of is refused", async () => {
    for (const index of Array.from(writes(await open<Value>(), {} as Part).keys())) {
      const { db, part, hook, isReading } = await make();
      await part.set("k", 5);
      const { version } = db;
      let closed: Promise<void> | undefined;
      hook.work = () => {
        closed ??= db.close();
      };
      const [name, write] = writes(db, part)[index];
      const code = await codeOf(write);
      hook.work = undefined;
      if (hook.met > 0 || !isReading)
        expect([code, db.status().version.applied], name).toEqual(["CLOSED", version]);
      await closed;
      await db.close();
    }
  });
});

test.each(["the store's codec", "a namespace"])("what is read while decode of %s writes", async (whose) => {
  const hook = new Hook();
  const codec = hookedCodec(new Hook(), hook);
  await using db = await open<Value>(undefined, whose === "a namespace" ? {} : { codec });
  const part = whose === "a namespace" ? db.namespace<Value>("n", { codec }) : db;
  await part.set("timed", 1, { ttl: 3_600_000 });
  await part.set("k", 5);
  for (const [reading, read] of reads(part)) {
    const errors: Promise<string | undefined>[] = [];
    hook.work = () => {
      for (const [, change] of changes(db, part)) errors.push(codeOf(change));
    };
    expect(await read(), reading).toBe(5);
    hook.work = undefined;
    expect(new Set(await Promise.all(errors)), reading).toEqual(new Set(["REENTRANT"]));
  }
  // Not in the middle of anything, the same may write.
  await part.set("k", 6);
  expect(part.get("k")).toBe(6);
});

test("toJSON of a value may not change the store", async () => {
  await using db = await open<Value>();
  const errors: Promise<string | undefined>[] = [];
  await db.set("timed", 1, { ttl: 3_600_000 });
  for (const [, change] of changes(db, db)) {
    await db.set("k", 5);
    const toJSON = (): number => {
      errors.push(codeOf(change));
      return 6;
    };
    await db.set("k", { toJSON });
    expect(db.get("k")).toBe(6);
  }
  expect(new Set(await Promise.all(errors))).toEqual(new Set(["REENTRANT"]));
});

test("a transaction's own writes stay what they are while one of them is encoded", async () => {
  const hook = new Hook();
  await using db = await open<Value>(undefined, { codec: hookedCodec(hook, new Hook()) });
  await db.set("k", 5);
  await db.transact((tx) => {
    const errors: unknown[] = [];
    const attempt = (work: () => unknown): void => {
      try {
        work();
      } catch (error) {
        errors.push((error as { code: string }).code);
      }
    };
    const savepoint = tx.savepoint();
    hook.work = () => {
      attempt(() => tx.set("k", 100));
      attempt(() => tx.delete("k"));
      attempt(() => tx.increment("k", 100));
      attempt(() => tx.rollbackTo(savepoint));
      tx.savepoint();
    };
    tx.set("k", 6);
    hook.work = undefined;
    // The first one fails while it is encoded already, and before it comes to its own hook.
    expect(errors).toEqual(["REENTRANT", "REENTRANT", "REENTRANT", "REENTRANT"]);
  });
  expect(db.get("k")).toBe(6);
  const plan = db.atomic();
  let error: unknown;
  hook.work = () => {
    try {
      plan.delete("k");
    } catch (cause) {
      error = cause;
    }
  };
  plan.set("k", 7);
  hook.work = undefined;
  expect(error).toMatchObject({ code: "REENTRANT" });
  await plan.commit();
  expect(db.get("k")).toBe(7);
});

test("another store may be written from within", async () => {
  const hook = new Hook();
  await using db = await open<Value>(undefined, { codec: hookedCodec(hook, new Hook()) });
  await using log = await open<Value>();
  hook.work = () => void log.increment("encoded", 1);
  await db.set("k", 1);
  await db.increment("k", 1);
  hook.work = undefined;
  expect([db.get("k"), log.get("encoded")]).toEqual([2, 2]);
});
