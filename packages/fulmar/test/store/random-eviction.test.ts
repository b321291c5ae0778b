import { expect, test } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import { type Durability, type Eviction, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, Prng, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const MEMORY_BYTES = 1024 * 1024;
/** The tables of a policy may have grown for an eviction that was taken back then. */
const TABLE_BYTES = 128 * 1024;
const KEYS = 300;
const POLICIES: Eviction[] = ["none", "lru", "lfu", "random", "arc", "sieve", "nearest-expiry"];

type State = ReadonlyMap<string, string>;

/** What memory showed at a version, and which keys the call that led there wrote. */
interface Seen {
  readonly version: number;
  readonly state: State;
  readonly written: ReadonlySet<string>;
}

/** One store after the other on one simulated disk, with less memory than is written. */
class EvictingWorld {
  readonly #prng: Prng;
  readonly #storage: SimulatedStorage;
  #db!: Store<string>;
  #eviction: Eviction = "none";
  #history: Seen[] = [];
  #logged = 0;
  #synced = 0;
  #refused = false;
  #pinned = false;
  #tableBytes = 0;
  #dead = false;
  #death: Promise<undefined> = Promise.resolve(undefined);
  #tellDeath: () => void = () => {};

  constructor(seed: number) {
    this.#prng = new Prng(`eviction ${seed}`);
    const profile = this.#prng.pick(["posix-strict", "ext4-like"] as const);
    this.#storage = simulatedStorage({ seed, cryptography: nodeCryptography, sectorBytes: 512, profile });
  }

  async run(lives: number): Promise<void> {
    for (let life = 0; life < lives; life++) {
      await this.#open();
      for (let i = 20 + this.#prng.below(150); i > 0 && !this.#dead; i--) await this.#step();
      await this.#end();
    }
  }

  async #open(): Promise<void> {
    this.#eviction = this.#prng.pick(POLICIES);
    this.#db = await open<string>("/data", {
      runtime: this.#storage.runtime,
      codec: "text",
      segmentBytes: 65_536,
      maxMemory: MEMORY_BYTES,
      eviction: this.#eviction,
      checkpoint: this.#prng.pick([{}, { everyCommits: 30 }]),
    });
    this.#dead = false;
    this.#death = new Promise((resolve) => {
      this.#tellDeath = () => resolve(undefined);
    });
    this.#pinned = false;
    this.#tableBytes = 0;
    this.#refused = false;
    this.#history = [];
    this.#logged = 0;
    this.#synced = 0;
    this.#look(new Set());
    portOf(this.#db).verify();
    if (this.#prng.chance(0.5)) this.#crashAfter(this.#prng.below(1500));
  }

  #crashAfter(operations: number): void {
    let left = operations;
    this.#storage.disk.onOperation = () => {
      // What the log refused may return until that is durable: the simpler model does not know it.
      if (left-- > 0 || this.#refused) return;
      this.#storage.disk.onOperation = undefined;
      this.#dead = true;
      this.#storage.kill();
      this.#tellDeath();
    };
  }

  async #step(): Promise<void> {
    const prng = this.#prng;
    const kind = prng.below(100);
    if (kind < 70) await this.#write();
    else if (kind < 85) this.#read();
    else if (kind < 90) await Promise.race([this.#storage.runtime.timers.turn(), this.#death]);
    else if (kind < 93 && this.#eviction !== "none") await this.#evict();
    else if (kind < 96) await this.#refuse();
    else if (kind < 98) await this.#list();
    else void this.#db.checkpoint().catch(() => undefined);
    if (this.#dead) return;
    this.#look(new Set());
    if (prng.chance(0.1)) portOf(this.#db).verify();
    // What only checkpoints keep is allowed beside it.
    const { usedBytes, leavingBytes, keptBytes } = this.#db.status().memory;
    const countedBytes = usedBytes - leavingBytes - keptBytes;
    if (!this.#pinned) expect(countedBytes).toBeLessThanOrEqual(MEMORY_BYTES + this.#tableBytes);
  }

  async #write(): Promise<void> {
    const prng = this.#prng;
    const key = (): string => `k${prng.below(KEYS)}`;
    const value = (): string => `${prng.below(1e9)} `.padEnd(prng.pick([20, 1000, 9000, 20_000]), "v");
    const durability = prng.pick(["memory", "relaxed", "full"] satisfies Durability[]);
    const length = prng.chance(0.2) ? 1 + prng.below(20) : 1;
    const operations = Array.from({ length }, () =>
      prng.chance(0.15)
        ? ({ type: "delete", key: key() } as const)
        : ({ type: "set", key: key(), value: value(), ttl: 1e9 + prng.below(1e6) } as const),
    );
    const before = this.#db.version;
    const done = this.#db.batch(operations, { durability });
    const settled = done.then(
      ({ version }) => {
        if (durability === "full") this.#synced = Math.max(this.#synced, version);
        if (durability !== "memory") this.#logged = Math.max(this.#logged, version);
        return undefined;
      },
      (error: unknown) => codeOf(error),
    );
    if (this.#dead) return;
    const isWritten = this.#db.version > before;
    if (isWritten) this.#expectWritten(operations);
    this.#look(new Set(operations.map((operation) => operation.key)));
    if (prng.chance(0.5) || !isWritten) {
      const code = await Promise.race([settled, this.#death]);
      if (this.#dead) return;
      if (!isWritten && !this.#refused) expect(code).toBe("MEMORY_FULL");
      if (code === "MEMORY_FULL") expect(operations.some(({ type }) => type === "set")).toBe(true);
    }
  }

  /** An acknowledged commit is there, whole: nothing of it was evicted for itself. */
  #expectWritten(
    operations: readonly { readonly type: string; readonly key: string; readonly value?: string }[],
  ): void {
    if (this.#refused) return;
    const last = new Map(operations.map((operation) => [operation.key, operation.value]));
    const isThere = [...last].every(([key, value]) => this.#db.get(key) === value);
    expect(isThere).toBe(true);
  }

  #read(): void {
    for (let i = 0; i < 10; i++) this.#db.get(`k${this.#prng.below(KEYS)}`);
  }

  async #evict(): Promise<void> {
    const entries = 1 + this.#prng.below(30);
    const before = this.#db.count();
    const evicted = await Promise.race([this.#db.evict({ entries }), this.#death]).catch(() => undefined);
    if (evicted === undefined || this.#dead || this.#pinned) return;
    expect(evicted.entries).toBe(Math.min(entries, before));
  }

  /** The log refuses what comes next: memory is as it was before that, the policy's part of it, too. */
  async #refuse(): Promise<void> {
    const db = this.#db;
    if (this.#dead) return;
    await Promise.race([db.flush(), this.#death]).catch(() => undefined);
    if (this.#dead) return;
    this.#look(new Set());
    const entriesBefore = [...db.list()];
    this.#refused = true;
    this.#tableBytes = TABLE_BYTES;
    const mend = this.#storage.disk.faults.add({
      operations: ["write"],
      path: ".log",
      code: "ENOSPC",
      times: Number.POSITIVE_INFINITY,
    });
    const work = [
      db.set("k1", "refused".padEnd(50_000, "r"), { ttl: 1e9 }),
      ...(this.#eviction === "none" ? [] : [db.evict({ entries: 5 })]),
    ].map((promise) => promise.then(() => undefined, codeOf));
    await this.#storage.advance(10);
    mend();
    for (const code of await Promise.all(work)) {
      expect([undefined, "DISK_FULL", "ROLLED_BACK", "MEMORY_FULL"]).toContain(code);
    }
    await db.flush();
    portOf(db).verify();
    if (this.#db.version === this.#history.at(-1)?.version) {
      expect([...db.list()]).toEqual(entriesBefore);
    }
    this.#refused = false;
    this.#look(new Set(["k1"]));
  }

  /** Shows one state while keys are written and evicted. */
  async #list(): Promise<void> {
    if (this.#dead) return;
    this.#pinned = true;
    const expected = stateOf(this.#db);
    const iterator = this.#db.list()[Symbol.iterator]();
    const first = iterator.next();
    for (let i = this.#prng.below(30); i > 0 && !this.#dead; i--) await this.#write();
    if (this.#dead) return;
    const shown = first.done === true ? [] : [first.value];
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) shown.push(next.value);
    expect(new Map(shown.map(({ key, value }) => [String(key), value]))).toEqual(expected);
  }

  /** Notes what memory shows. What no call wrote can only have gone, and only with a policy. */
  #look(written: ReadonlySet<string>): void {
    const { version } = this.#db;
    const state = stateOf(this.#db);
    while ((this.#history.at(-1)?.version ?? 0) > version) this.#history.pop();
    const last = this.#history.at(-1);
    if (last !== undefined) {
      for (const [key, value] of state) if (!written.has(key)) expect(value).toBe(last.state.get(key));
      const gone = [...last.state.keys()].filter((key) => !written.has(key) && !state.has(key));
      if (this.#eviction === "none" || version === last.version) expect(gone).toEqual([]);
    }
    if (last?.version !== version) this.#history.push({ version, state, written });
  }

  /** The next store, opened without a limit, shows memory as it was at the version that it recovered. */
  async #end(): Promise<void> {
    this.#storage.disk.onOperation = undefined;
    const isOrderly = !this.#dead && this.#prng.chance(0.3);
    if (isOrderly) {
      await this.#db.close();
      this.#logged = this.#history.at(-1)?.version ?? 0;
      this.#synced = this.#logged;
    }
    const isPower = this.#prng.chance(0.5);
    if (!this.#dead) this.#storage.kill();
    this.#storage.restart();
    if (isPower) {
      this.#storage.powerCut();
      this.#storage.restart();
    }
    const db = await open<string>("/data", { runtime: this.#storage.runtime, codec: "text" });
    expect(db.version).toBeGreaterThanOrEqual(isPower ? this.#synced : this.#logged);
    this.#expectRecovered(db.version, stateOf(db));
    portOf(db).verify();
    await db.close();
    this.#storage.restart();
  }

  #expectRecovered(version: number, state: State): void {
    const before = this.#history.findLast((seen) => seen.version <= version);
    const after = this.#history.find((seen) => seen.version > version);
    // Nothing of this life is left, and what was there before it was looked at when it began.
    if (before === undefined) return;
    if (before.version === version) {
      expect(state).toEqual(before.state);
      return;
    }
    // Between evictions in the background, or the last call was cut short.
    for (const [key, value] of state) {
      if (after?.written.has(key) !== true && this.#dead === false) expect(value).toBe(before.state.get(key));
    }
    for (const [key, value] of after?.state ?? []) {
      if (after?.written.has(key) !== true) expect(state.get(key)).toBe(value);
    }
  }
}

function stateOf(db: Store<string>): State {
  return new Map([...db.list()].map(({ key, value }) => [String(key), value]));
}

/** FULMAR_SEEDS=first:count runs others, and more of them. */
const [FIRST, COUNT] = (process.env.FULMAR_SEEDS ?? "1:3").split(":").map(Number);

test("T-EVICT-01: random writes with too little memory: nothing comes back, and nothing else is lost", async () => {
  for (let seed = FIRST; seed < FIRST + (COUNT ?? 1); seed++) {
    try {
      await new EvictingWorld(seed).run(4);
    } catch (error) {
      expect.fail(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
}, 3_600_000);
