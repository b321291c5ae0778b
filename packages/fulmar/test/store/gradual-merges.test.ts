import fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { type Change, type Codec, open, type Snapshot, type Stamp, type Store } from "../../src/index.js";
import { encodeKey } from "../../src/keys/key.js";
import { Coverage } from "../../src/record/coverage.js";
import { entryBytes, TOMBSTONE, writeEntry } from "../../src/record/entry.js";
import { compareStamps } from "../../src/record/stamp.js";
import { coreOf } from "../../src/store/cores.js";
import { type MergeResult, portOf } from "../../src/store/port.js";
import { temporaryDirectory } from "./fixture.js";

const PEER = "00".repeat(15).concat("bb");
const KEYS = 24;
const SUM = "sum";
/** So low that merges of some small entries come in parts. */
const COMMIT_BYTES_MAX = 220;

interface Written {
  readonly name: string;
  readonly stamp: Stamp;
  readonly value: string | undefined;
}

const keys = (least: number, most: number) =>
  fc.uniqueArray(fc.nat(KEYS - 1), { minLength: least, maxLength: most });
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("merge" as const),
        keys: keys(2, KEYS),
        deleted: fc.nat(2 ** KEYS - 1),
        later: fc.integer({ min: -40, max: 40 }),
      }),
    },
    { weight: 12, arbitrary: fc.record({ type: fc.constant("turn" as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("set" as const), keys: keys(1, 2) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), keys: keys(1, 1) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("begin" as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("end" as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("snapshot" as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("digest" as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("flush" as const) }) },
  ),
  { minLength: 5, maxLength: 60 },
);
type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never;

/** A store whose turns come when the test says so, with what was written and merged into it in any order. */
class Run {
  readonly #db: Store<string>;
  readonly #turn: () => Promise<boolean>;
  readonly #locals: Written[] = [];
  readonly #merges: (readonly Written[])[] = [];
  /** So many merges are shown. */
  #shown = 0;
  #hlc = 0;
  #count = 0;
  readonly #done: Promise<unknown>[] = [];
  readonly #snapshots: { readonly snapshot: Snapshot<string>; readonly seen: string }[] = [];
  readonly #open: { end(): void; readonly result: Promise<unknown> }[] = [];
  readonly #watched = new Map<string, string>();

  private constructor(db: Store<string>, turn: () => Promise<boolean>) {
    this.#db = db;
    this.#turn = turn;
    db.watch({}, ({ changes }) => {
      for (const change of changes) this.#follow(change);
    });
  }

  static async begin(): Promise<Run> {
    const { db, turn } = await openWithTurns("text");
    const run = new Run(db, turn);
    const begun = portOf(db).beginReplication();
    while (!portOf(db).engine.isOrderedByOrigin) await turn();
    await begun;
    return run;
  }

  async take(step: Step): Promise<void> {
    const db = this.#db;
    switch (step.type) {
      case "merge":
        this.#merge(step.keys, step.deleted, step.later);
        break;
      case "turn":
        await this.#turn();
        break;
      case "set":
        await db.batch(
          step.keys.map((i) => ({ type: "set", key: nameOf(i), value: `local ${++this.#count}` }) as const),
        );
        this.#wrote(step.keys.map(nameOf));
        break;
      case "delete":
        await db.delete(nameOf(step.keys[0]));
        this.#wrote(step.keys.map(nameOf));
        break;
      case "begin":
        this.#transact();
        break;
      case "end":
        await this.#endTransaction();
        break;
      case "snapshot":
        this.#snapshots.push({ snapshot: db.snapshot(), seen: shown(db) });
        break;
      case "digest":
        expect(db.digest()).toBe(db.digest());
        expect(portOf(db).engine.isHiding).toBe(false);
        break;
      case "flush": {
        const flushed = db.flush();
        expect(portOf(db).engine.isHiding).toBe(false);
        await flushed;
      }
    }
    this.#check();
  }

  async finish(): Promise<number> {
    while (this.#open.length > 0) await this.#endTransaction();
    await this.#turnUntil(Promise.all(this.#done));
    this.#check();
    expect(shown(this.#db)).toBe(this.#stateWith(this.#merges.length));
    expect(Object.fromEntries(this.#watched)).toEqual(Object.fromEntries(pairs(this.#db)));
    for (const { snapshot } of this.#snapshots) snapshot.close();
    await this.#db.close();
    return this.#merges.length;
  }

  async #turnUntil(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    const ended = work.finally(() => {
      isOver = true;
    });
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isOver) return void (await ended);
      await this.#turn();
    }
  }

  #merge(indexes: readonly number[], deleted: number, later: number): void {
    const seq = this.#merges.length + 1;
    const stamp: Stamp = { hlc: Math.max(1, this.#hlc + later), origin: PEER, seq };
    const written = indexes.map((i) => {
      const value = (deleted >> i) % 2 === 1 ? undefined : `peer ${seq} ${i}`;
      return { name: nameOf(i), stamp, value };
    });
    this.#merges.push(written);
    this.#hlc = Math.max(this.#hlc, stamp.hlc);
    this.#done.push(merge(this.#db, written));
  }

  /** Local writes were done: what there is of these keys now. */
  #wrote(names: readonly string[]): void {
    for (const name of names) {
      const entry = this.#db.entry(name, { tombstones: true });
      if (entry === undefined) throw new Error("a write leaves an entry or a tombstone");
      this.#locals.push({ name, stamp: entry.stamp, value: entry.value });
      this.#hlc = Math.max(this.#hlc, entry.stamp.hlc);
    }
  }

  /** Reads everything, and writes it down when it ends. */
  #transact(): void {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const result = this.#db.transact(async (tx) => {
      const seen = [...tx.list()].filter(({ key }) => key !== SUM);
      await ended;
      tx.set(SUM, JSON.stringify(seen.map(({ key, value }) => [key, value])));
    });
    this.#open.push({ end, result });
  }

  async #endTransaction(): Promise<void> {
    const transaction = this.#open.shift();
    if (transaction === undefined) return;
    transaction.end();
    const checked = transaction.result.then(() => {
      this.#wrote([SUM]);
      const others = pairs(this.#db).filter(([name]) => name !== SUM);
      expect(this.#db.get(SUM)).toBe(JSON.stringify(others));
    });
    // One that lost may wait for a turn before it tries again.
    await this.#turnUntil(checked);
  }

  #follow({ key, value }: Change<string>): void {
    if (value === undefined) this.#watched.delete(String(key));
    else this.#watched.set(String(key), value);
  }

  /** Some merges are shown, in their order and each of them whole, and none that was shown is gone. */
  #check(): void {
    const seen = shown(this.#db);
    while (seen !== this.#stateWith(this.#shown)) {
      expect(++this.#shown, `what is shown is no state: ${seen}`).toBeLessThanOrEqual(this.#merges.length);
    }
    for (const each of this.#snapshots) expect(shown(each.snapshot)).toBe(each.seen);
    portOf(this.#db).verify();
  }

  #stateWith(merges: number): string {
    const newest = new Map<string, Written>();
    for (const written of [...this.#locals, ...this.#merges.slice(0, merges).flat()]) {
      const other = newest.get(written.name);
      if (other === undefined || compareStamps(written.stamp, other.stamp) > 0)
        newest.set(written.name, written);
    }
    const found = [...newest.values()].filter(({ value }) => value !== undefined);
    return JSON.stringify(found.map(({ name, value }) => [name, value]).sort());
  }
}

/** A store that merges what is larger than its low limit in parts, and turns of the event loop that wait. */
async function openWithTurns(codec: "text" | "json" | Codec<string>) {
  const base = nodeRuntime();
  const waiting: (() => void)[] = [];
  const wait = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const runtime = { ...base, timers: { ...base.timers, turn: wait } };
  const limits = { commitBytesMax: COMMIT_BYTES_MAX };
  const db = await open<string>(undefined, { runtime, limits, codec });
  let turns = 0;
  /** Lets the loop turn once; false when nobody waited for it. */
  const turn = async (): Promise<boolean> => {
    expect(++turns, "turns without end").toBeLessThan(2000);
    const due = waiting.splice(0);
    for (const resolve of due) resolve();
    await new Promise((resolve) => setImmediate(resolve));
    return due.length > 0;
  };
  return { db, turn };
}

/** Merges one commit of a peer. */
function merge(db: Store<string>, written: readonly Written[]): Promise<MergeResult> {
  const { origins, runtime, merge: mergeInto } = portOf(db);
  const pages = written.map(({ name, stamp: { hlc, seq }, value }) => {
    const key = encodeKey(name, 4096);
    const bytes = new TextEncoder().encode(value ?? "");
    const flags = value === undefined ? TOMBSTONE : 0;
    const page = new Uint8Array(entryBytes(key.length, bytes.length, flags));
    const valueChecksum = runtime.checksum.crc32(bytes, 0, bytes.length, 0);
    const origin = origins.intern(PEER);
    writeEntry(page, 0, { key, value: bytes, flags, origin, hlc, seq, deadline: 0, valueChecksum });
    return page;
  });
  const covered = new Coverage();
  covered.set(PEER, { upTo: written[0].stamp.seq, holes: [] });
  return mergeInto(pages, covered);
}

/** A merge of all keys that is being put into memory. */
async function hiddenMerge(db: Store<string>, turn: () => Promise<boolean>, hlc: number) {
  const begun = portOf(db).beginReplication();
  while (!portOf(db).engine.isOrderedByOrigin) await turn();
  await begun;
  const written = Array.from({ length: KEYS }, (_, i): Written => {
    return { name: nameOf(i), stamp: { hlc, origin: PEER, seq: 1 }, value: JSON.stringify(`peer ${i}`) };
  });
  const merged = merge(db, written);
  while (!portOf(db).engine.isHiding) await turn();
  return { merged };
}

function nameOf(index: number): string {
  return `key ${index}`;
}

function pairs(view: Pick<Store<string>, "list">): [string, string][] {
  return [...view.list()].map(({ key, value }) => [String(key), value]);
}

/** The same by each way of reading. */
function shown(view: Pick<Store<string>, "list" | "get" | "count" | "has">): string {
  const found = pairs(view);
  expect(view.count()).toBe(found.length);
  for (const name of [...Array.from({ length: KEYS }, (_, i) => nameOf(i)), SUM]) {
    const value = found.find(([key]) => key === name)?.[1];
    expect([view.get(name), view.has(name)]).toEqual([value, value !== undefined]);
  }
  return JSON.stringify(found.sort());
}

it("shows a merge that comes in parts whole or not at all, whatever goes on beside it", async () => {
  let merged = 0;
  onTestFinished(() => expect(merged).toBeGreaterThan(100));
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const run = await Run.begin();
      for (const step of sequence) await run.take(step);
      merged += await run.finish();
    }),
    { numRuns: 150 },
  );
});

it.each<[string, (db: Store<unknown>) => unknown]>([
  ["set", (db) => db.set("a", 1)],
  ["set with what it replaces", (db) => db.set("key 1", 1, { previous: true })],
  ["delete", (db) => db.delete("key 1")],
  ["batch", (db) => db.batch([{ type: "delete", key: "key 1" }])],
  ["create", (db) => db.create("a", 1)],
  ["compareAndSwap", (db) => db.compareAndSwap("key 1", "peer 1", 2)],
  ["increment", (db) => db.increment("a")],
  ["touch", (db) => db.touch("key 1", 1000)],
  ["clear", (db) => db.clear({ gte: "key 1", lte: "key 1" })],
  ["an atomic operation", (db) => db.atomic().check({ key: "key 1", exists: true }).delete("key 1").commit()],
  ["a transaction", (db) => db.transact((tx) => tx.set("a", [...tx.keys()].length))],
  ["a digest", (db) => db.digest()],
  ["flush", (db) => db.flush()],
  ["data of the store's own", (db) => portOf(db).setReserved(Uint8Array.of(0xf6, 1), Uint8Array.of(1))],
])("is whole before %s decides anything", async (_, act) => {
  const { db, turn } = await openWithTurns("json");
  const { merged } = await hiddenMerge(db, turn, 1);
  expect(db.count()).toBe(0);
  const acted = act(db as Store<unknown>);
  expect(portOf(db).engine.isHiding).toBe(false);
  expect(db.version).toBeGreaterThan(0);
  expect(db.count()).toBeGreaterThanOrEqual(KEYS - 1);
  const outcome = await acted;
  if (outcome !== null && typeof outcome === "object" && "ok" in outcome) expect(outcome.ok).toBe(true);
  while (await turn());
  expect(await merged).toMatchObject({ applied: KEYS });
  await db.close();
});

it("is left as it is by code that the store calls in the middle of a read", async () => {
  let nosy: (() => unknown) | undefined;
  const codec: Codec<string> = {
    name: "nosy",
    encode: (text) => new TextEncoder().encode(text),
    decode(bytes) {
      const look = nosy;
      nosy = undefined;
      look?.();
      return new TextDecoder().decode(bytes);
    },
  };
  const { db, turn } = await openWithTurns(codec);
  await db.set("key 1", "local");
  const hlc = (db.entry("key 1")?.stamp.hlc ?? 0) + 10;
  const { merged } = await hiddenMerge(db, turn, hlc);
  const told: Promise<unknown>[] = [];
  db.watch("key 1", () => told.push(db.set("heard", "of it")));
  const calls: Promise<unknown>[] = [];
  const looks: (() => unknown)[] = [
    () => db.digest(),
    () => calls.push(db.digestAsync()),
    () => calls.push(db.flush()),
    () => expect(db.set("a", "b")).rejects.toMatchObject({ code: "REENTRANT" }),
    () => expect(db.create("a", "b")).rejects.toMatchObject({ code: "REENTRANT" }),
    () => expect(db.clear({ gte: "a", lte: "b" })).rejects.toMatchObject({ code: "REENTRANT" }),
    () => expect(db.transact((tx) => tx.set("a", "b"))).rejects.toMatchObject({ code: "REENTRANT" }),
  ];
  for (const look of looks) {
    nosy = (): void => void calls.push(Promise.resolve(look()));
    expect([db.get("key 1"), portOf(db).engine.isHiding]).toEqual(["local", true]);
  }
  while (await turn());
  await Promise.all(calls);
  expect(await merged).toMatchObject({ applied: KEYS });
  await Promise.all(told);
  expect(db.get("heard")).toBe("of it");
  await db.close();
});

it("may take away at its end what a transaction read, which begins anew then", async () => {
  const db = await open<string>(await temporaryDirectory(), { codec: "text" });
  const { committer } = coreOf(db);
  await db.set("a", "kept");
  void db.set("a", "refused", { durability: "memory" });
  // The log may find the disk full when it gets much.
  vi.spyOn(committer, "finishMerge").mockImplementationOnce(() =>
    committer.refused(committer.loggedVersion, new FulmarError("DISK_FULL", "no space")),
  );
  const done = db.transact((tx) => tx.set("b", `of ${tx.get("a")}`));
  expect(db.get("a")).toBe("kept");
  await done;
  expect(db.get("b")).toBe("of kept");
  await db.close();
});
