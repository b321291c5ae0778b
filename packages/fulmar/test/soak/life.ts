import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { open, openReader, type SharedReader, type Snapshot, type Store, verify } from "../../src/index.js";
import { type Replicator, replicate } from "../../src/sync/index.js";
import type { Prng } from "../../src/testing/simulated/prng.js";
import { measured, type Resources } from "./resources.js";

const KEYS = 1500;
const OPERATIONS = 400;
const SNAPSHOTS_MAX = 4;
const CACHE_BYTES = 3 * 1024 * 1024;
const HISTORY_BYTES = 1024 * 1024;

type Value = string | number;

/** A store that has a peer, and what it should hold of its own keys. */
interface Side {
  readonly name: "left" | "right";
  readonly expected: Map<number, Value>;
  /** What watches showed of the other one's keys. */
  readonly mirror: Map<number, Value>;
  db: Store<Value>;
  sync: Replicator;
}

/** Two replicated stores and a cache that live on, round by round; each is closed and opened again now and then. */
export class Life {
  readonly #root: string;
  readonly #random: Prng;
  readonly #held: { readonly snapshot: Snapshot<Value>; readonly count: number }[] = [];
  #left: Side | undefined;
  #right: Side | undefined;
  #cache: Store<Uint8Array> | undefined;
  #reader: SharedReader<Uint8Array> | undefined;
  #counted = 0;
  #rounds = 0;

  constructor(root: string, random: Prng) {
    this.#root = root;
    this.#random = random;
  }

  /** Does one round of everything, and returns what is in use after it. */
  async round(): Promise<Resources> {
    const [left, right] = await this.#sides();
    await Promise.all([this.#work(left), this.#work(right), this.#useCache()]);
    await this.#meet(left, right);
    this.#check(left, right);
    this.#holdSnapshots(left);
    this.#rounds++;
    if (this.#rounds % 2 === 0) await Promise.all([left.db.checkpoint(), this.#cache?.checkpoint()]);
    if (this.#rounds % 3 === 0) await this.#backUp(right);
    if (this.#rounds % 4 === 0) await this.#restart(right, left);
    if (this.#rounds % 5 === 0) await this.#restartCache();
    return this.#resources();
  }

  async close(): Promise<void> {
    for (const { snapshot } of this.#held.splice(0)) snapshot.close();
    await this.#reader?.close();
    await this.#cache?.close();
    for (const side of [this.#right, this.#left]) {
      await side?.sync.close();
      await side?.db.close();
    }
    for (const name of ["left", "right", "cache"]) {
      expect(await verify(join(this.#root, name))).toMatchObject({ ok: true, findings: [] });
    }
  }

  async #sides(): Promise<readonly [Side, Side]> {
    this.#left ??= await this.#begin("left");
    this.#right ??= await this.#begin("right", this.#left);
    return [this.#left, this.#right];
  }

  async #begin(name: Side["name"], peer?: Side): Promise<Side> {
    const mirror = new Map<number, Value>();
    const opened = await this.#start(name, mirror, peer?.sync.address);
    return { name, expected: new Map(), mirror, ...opened };
  }

  async #start(
    name: Side["name"],
    mirror: Side["mirror"],
    peer?: string,
  ): Promise<Pick<Side, "db" | "sync">> {
    const db = await open<Value>(join(this.#root, name), { name, historyBytes: HISTORY_BYTES });
    db.watch({ prefix: [name === "left" ? "right" : "left"] }, ({ changes }) => {
      for (const { type, key, value } of changes) {
        const [, id] = key as [string, number];
        if (type === "set") mirror.set(id, value);
        else mirror.delete(id);
      }
    });
    const listen = name === "left" ? { listen: "127.0.0.1:0" } : {};
    const sync = await replicate(db, { ...listen, ...(peer === undefined ? {} : { peers: [peer] }) });
    return { db, sync };
  }

  /** Closes a store and opens it again; the peer writes nothing meanwhile. */
  async #restart(side: Side, peer: Side): Promise<void> {
    await side.sync.close();
    await side.db.close();
    Object.assign(side, await this.#start(side.name, side.mirror, peer.sync.address));
  }

  /** Writes of every kind to the side's own keys, many at a time. */
  async #work(side: Side): Promise<void> {
    for (let left = OPERATIONS; left > 0; ) {
      const together = 1 + this.#random.below(Math.min(40, left));
      left -= together;
      await Promise.all(Array.from({ length: together }, () => this.#write(side)));
    }
  }

  #write(side: Side): Promise<unknown> {
    const { db, name, expected } = side;
    const id = this.#random.below(KEYS);
    const other = (id + 1 + this.#random.below(KEYS - 1)) % KEYS;
    const kind = this.#random.below(20);
    if (kind < 2) {
      expected.delete(id);
      return db.delete([name, id]);
    }
    if (kind === 2)
      return db.set(["short-lived", name, id], "soon gone", { ttl: 1 + this.#random.below(500) });
    if (kind === 3) {
      this.#counted++;
      return db.increment(["counter", name], 1);
    }
    if (kind < 6) return this.#update(side, id, other);
    const value = this.#value();
    expected.set(id, value);
    if (kind < 9) return db.atomic().set([name, id], value).delete(["short-lived", name, id]).commit();
    return db.set([name, id], value, { durability: kind < 12 ? "full" : "relaxed" });
  }

  /** Sets two keys to one value, in one step that reads both, and by a savepoint takes back what it did before. */
  #update({ db, name, expected }: Side, id: number, other: number): Promise<unknown> {
    const value = this.#value();
    for (const each of [id, other]) expected.set(each, value);
    return db.transact((tx) => {
      const found = [id, other].map((each) => tx.get([name, each]));
      const savepoint = tx.savepoint();
      tx.set([name, id], "taken back");
      tx.rollbackTo(savepoint);
      for (const each of [id, other]) tx.set([name, each], value);
      return found;
    });
  }

  #value(): Value {
    const random = this.#random;
    return random.below(4) === 0
      ? random.below(1e6)
      : "v".repeat(random.below(random.below(50) === 0 ? 40_000 : 300));
  }

  /** Waits until each has everything of the other on its disk. */
  async #meet(left: Side, right: Side): Promise<void> {
    for (const { sync } of [left, right]) await sync.synced(undefined, { peers: 1 });
  }

  /** Both hold what was written to each, and nothing else, and their watches have shown it. */
  #check(left: Side, right: Side): void {
    for (const { db } of [left, right]) {
      for (const { name, expected } of [left, right]) expect(held(db, name)).toEqual(expected);
      const counters = [...held(db, "counter").values()] as number[];
      expect(counters.reduce((sum, value) => sum + value, 0)).toBe(this.#counted);
    }
    expect(left.mirror).toEqual(right.expected);
    expect(right.mirror).toEqual(left.expected);
  }

  /** Takes a snapshot, and lets go of the oldest ones, which still show what they did. */
  #holdSnapshots({ db }: Side): void {
    this.#held.push({ snapshot: db.snapshot(), count: db.count({ prefix: ["left"] }) });
    while (this.#held.length > SNAPSHOTS_MAX) {
      const oldest = this.#held.shift();
      expect(oldest?.snapshot.count({ prefix: ["left"] })).toBe(oldest?.count);
      oldest?.snapshot.close();
    }
  }

  async #backUp({ db, expected, name }: Side): Promise<void> {
    const path = join(this.#root, `${name}.backup`);
    await Promise.all([db.backup(path), db.checkpoint()]);
    expect(await verify(path)).toMatchObject({ ok: true });
    expect(db.count({ prefix: [name] })).toBe(expected.size);
    await rm(path, { recursive: true });
  }

  /** More writes than there is room for, seen by a reader as far as they are. */
  async #useCache(): Promise<void> {
    this.#cache ??= await open<Uint8Array>(join(this.#root, "cache"), {
      codec: "bytes",
      maxMemory: CACHE_BYTES,
      eviction: "lru",
      shared: true,
      historyBytes: HISTORY_BYTES,
    });
    const db = this.#cache;
    this.#reader ??= await openReader<Uint8Array>(db.readerHandle(), { codec: "bytes" });
    for (let i = 0; i < OPERATIONS; i++) {
      const id = this.#random.below(20 * KEYS);
      await db.set(id, new Uint8Array(100 + this.#random.below(2000)).fill(id));
      if (i % 10 === 0) this.#reader.refresh();
      const read = this.#reader.get(id);
      if (read !== undefined) expect(read[0]).toBe(id & 255);
    }
    const { usedBytes, leavingBytes, keptBytes } = db.status().memory;
    expect(usedBytes - leavingBytes - keptBytes).toBeLessThanOrEqual(CACHE_BYTES);
  }

  async #restartCache(): Promise<void> {
    await this.#reader?.close();
    await this.#cache?.close();
    this.#reader = undefined;
    this.#cache = undefined;
    await this.#useCache();
  }

  #resources(): Promise<Resources> {
    const stores = [this.#left?.db, this.#right?.db, this.#cache].map((db) => db?.status().memory);
    const sum = (pick: (memory: NonNullable<(typeof stores)[number]>) => number): number =>
      stores.reduce((total, memory) => total + (memory === undefined ? 0 : pick(memory)), 0);
    return measured(this.#root, {
      storeBytes: sum(({ usedBytes }) => usedBytes),
      oldVersions: sum(({ oldVersions }) => oldVersions),
      pinnedStates: sum(({ pinned }) => pinned.states),
    });
  }
}

/** The keys of two parts that begin with a name, by the other part. */
function held(db: Store<Value>, name: string): Map<unknown, Value> {
  const found = new Map<unknown, Value>();
  for (const { key, value } of db.list({ prefix: [name] })) found.set((key as [string, unknown])[1], value);
  return found;
}
