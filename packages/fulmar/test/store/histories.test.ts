import { describe, expect, it } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import { open, type Store, type Transaction } from "../../src/index.js";
import {
  checkListAppend,
  isLinearizable,
  type ListStep,
  type ListTransaction,
  nodeCryptography,
  Prng,
  type RegisterOperation,
  type SimulatedStorage,
  simulatedStorage,
} from "../../src/testing/index.js";

/**
 * Clients that append to lists and read them, in transactions, snapshots and plain reads, and a watcher that
 * follows, on a machine that loses power and processes at any moment. The whole history must be strictly
 * serializable, whatever was acknowledged must be there, and a counter of swaps must be linearizable.
 */

const SEEDS = Number(process.env.FULMAR_HISTORIES ?? 12);
/** The first of them, each of which is known to commit enough: of a seed that nobody has run nobody can ask that. */
const KNOWN = 12;
/** Seeds that once found something, when every scan was of everything: with others they would be other histories. */
const KEPT = [900_088];
const FRESH = Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31);
const KEYS = ["a", "b", "c", "d", "e"];
const CLIENTS = 4;
const LIVES = 4;
const TRANSACTIONS = 25;

type Lists = Store<number[]>;

/** How a transaction scans. */
interface Scan {
  readonly reverse: boolean;
  readonly limit: number;
}

const ALL_FORWARDS: Scan = { reverse: false, limit: KEYS.length };

/** One machine, the clients on it, and what they have seen. */
class World {
  readonly history: ListTransaction[] = [];
  readonly swaps: RegisterOperation[] = [];
  readonly #random: Prng;
  /** What scans are drawn from, beside everything else; without it, all of them are of everything. */
  readonly #scans: Prng | undefined;
  readonly #storage: SimulatedStorage;
  #moment = 0;
  #element = 0;
  #died: () => void = () => {};
  #death: Promise<"dead"> = Promise.resolve("dead");

  constructor(seed: number) {
    this.#random = new Prng(`histories ${seed}`);
    this.#scans = KEPT.includes(seed) ? undefined : new Prng(`scans ${seed}`);
    this.#storage = simulatedStorage({
      seed,
      cryptography: nodeCryptography,
      profile: this.#random.pick(["posix-strict", "ext4-like"]),
    });
  }

  async run(): Promise<ReadonlyMap<string, readonly number[]>> {
    for (let life = 0; life < LIVES; life++) await this.#live();
    const db = await this.#open();
    const final = new Map(KEYS.map((key) => [key, db.get(key) ?? []]));
    await db.close();
    return final;
  }

  #open(): Promise<Lists> {
    const { runtime } = this.#storage;
    const checkpoint = this.#random.pick([{}, { everyCommits: 15 }]);
    return open<number[]>("/db", {
      runtime,
      checkpoint,
      segmentBytes: 65_536,
      sync: this.#random.pick(["inline", "background"]),
    });
  }

  async #live(): Promise<void> {
    const db = await this.#open();
    // What ends all clients may be followed by the crash before anybody is told that they have ended.
    let isDead = false;
    this.#death = new Promise((resolve) => {
      this.#died = () => {
        isDead = true;
        resolve("dead");
      };
    });
    this.#crashAfter(this.#random.below(400));
    const watch = this.#follow(db);
    const clients = Array.from({ length: CLIENTS }, (_, id) =>
      this.#client(db, this.#random.fork(`client ${id} ${this.#moment}`)),
    );
    await Promise.race([this.#death, Promise.all(clients)]);
    this.#storage.disk.onOperation = undefined;
    if (!isDead) {
      watch.close();
      await db.close();
    }
    this.#storage.restart();
  }

  #crashAfter(operations: number): void {
    const end = this.#random.pick(["kill", "power"] as const);
    let left = operations;
    this.#storage.disk.onOperation = () => {
      if (--left > 0) return;
      this.#storage.disk.onOperation = undefined;
      if (end === "kill") this.#storage.kill();
      else this.#storage.powerCut();
      this.#died();
    };
  }

  async #client(db: Lists, random: Prng): Promise<void> {
    for (let i = 0; i < TRANSACTIONS; i++) {
      const kind = random.below(10);
      if (kind < 6) await this.#transact(db, random);
      else if (kind === 6) await this.#snapshot(db, random);
      else if (kind === 7) this.#readNow(db, random);
      else if (kind === 8) await this.#swap(db, random);
      else await this.#storage.runtime.timers.turn();
    }
  }

  async #transact(db: Lists, random: Prng): Promise<void> {
    const begin = this.#moment++;
    let steps: ListStep[] = [];
    let outcome: ListTransaction["outcome"] = "unknown";
    const note = (): void => {
      this.history.push({ id: `t${begin}`, outcome, steps, begin, end: this.#moment++ });
    };
    const plan = Array.from({ length: 1 + random.below(4) }, () => ({
      key: random.pick(KEYS),
      appends: random.chance(0.5),
      lists: random.chance(0.2),
      waits: random.chance(0.5),
      scan: this.#scan(),
    }));
    const work = db.transact(
      async (tx) => {
        steps = [];
        for (const { key, appends, lists, waits, scan } of plan) {
          if (lists) steps.push(...read(tx, scan));
          else if (appends) {
            const element = ++this.#element;
            steps.push({ do: "append", key, element });
            tx.set(key, [...(tx.get(key) ?? []), element]);
          } else steps.push({ do: "read", key, list: tx.get(key) ?? [] });
          if (waits) await this.#storage.runtime.timers.turn();
        }
      },
      { retries: 0, durability: "full" },
    );
    const settled = work.then(
      () => "committed" as const,
      (error: unknown) => (codeOf(error) === "CONFLICT" ? ("aborted" as const) : Promise.reject(error)),
    );
    const result = await Promise.race([settled, this.#death]);
    if (result === "dead") {
      note();
      await new Promise(() => {});
    } else outcome = result;
    note();
  }

  #scan(): Scan {
    if (this.#scans === undefined) return ALL_FORWARDS;
    return { reverse: this.#scans.chance(0.5), limit: 1 + this.#scans.below(KEYS.length) };
  }

  async #snapshot(db: Lists, random: Prng): Promise<void> {
    const begin = this.#moment++;
    // What is read must not be lost again, or nobody could order it.
    await db.flush();
    using snapshot = db.snapshot();
    const first = KEYS.map((key): ListStep => ({ do: "read", key, list: snapshot.get(key) ?? [] }));
    if (random.chance(0.7)) await this.#storage.runtime.timers.turn();
    const second = KEYS.map((key): ListStep => ({ do: "read", key, list: snapshot.get(key) ?? [] }));
    await db.flush();
    this.history.push({
      id: `s${begin}`,
      outcome: "committed",
      steps: [...first, ...second],
      begin,
      end: this.#moment++,
    });
  }

  #readNow(db: Lists, random: Prng): void {
    const begin = this.#moment++;
    const steps = KEYS.map((key): ListStep => ({ do: "read", key, list: db.get(key) ?? [] }));
    const note = () =>
      this.history.push({ id: `r${begin}`, outcome: "committed", steps, begin, end: this.#moment++ });
    // Plain reads show what may still be lost: only once it is synced do they belong to the history.
    void random;
    void db.flush().then(note, () => {});
  }

  /** What a watcher has seen is, after each commit, a state of the store. */
  #follow(db: Lists) {
    const lists = new Map(KEYS.map((key) => [key, db.get(key) ?? []]));
    return db.watch({ gte: KEYS[0], lte: KEYS[KEYS.length - 1] }, ({ version, changes }) => {
      const begin = this.#moment++;
      for (const { key, value } of changes) lists.set(String(key), value ?? []);
      const steps = [...lists].map(([key, list]): ListStep => ({ do: "read", key, list }));
      // A watcher lags behind, so that it has no place in real time.
      this.history.push({
        id: `w${version}.${begin}`,
        outcome: "committed",
        steps,
        begin: 0,
        end: Number.MAX_VALUE,
      });
    });
  }

  async #swap(db: Lists, random: Prng): Promise<void> {
    const begin = this.#moment++;
    const before = db.get("swap")?.[0] ?? 0;
    const expected = random.chance(0.8) ? before : before + 1;
    const value = ++this.#element;
    const swap = { do: "swap", expected, value, begin } as const;
    const work = db.compareAndSwap("swap", expected === 0 ? undefined : [expected], [value], {
      durability: "full",
    });
    const result = await Promise.race([work, this.#death]);
    if (result === "dead") {
      this.swaps.push({ ...swap, unknown: true, end: this.#moment++ });
      await new Promise(() => {});
      return;
    }
    await db.flush();
    this.swaps.push({ ...swap, done: result.ok, end: this.#moment++ });
  }
}

/** What a scan shows: the keys that it gives, those that it passes over, and nothing of those behind its limit. */
function read(tx: Transaction<number[]>, { reverse, limit }: Scan): ListStep[] {
  const found = new Map<string, number[]>();
  for (const { key, value } of tx.list({ gte: KEYS[0], lte: KEYS[KEYS.length - 1], reverse, limit }))
    found.set(String(key), value);
  const inOrder = reverse ? [...KEYS].reverse() : KEYS;
  const last = [...found.keys()].at(-1);
  const seen =
    last === undefined || found.size < limit ? inOrder : inOrder.slice(0, inOrder.indexOf(last) + 1);
  return seen.map((key) => ({ do: "read", key, list: found.get(key) ?? [] }));
}

describe("histories of transactions, snapshots, plain reads and watchers through crashes", () => {
  for (const seed of [...Array.from({ length: SEEDS }, (_, index) => index + 1), ...KEPT, FRESH]) {
    it(`are strictly serializable (seed ${seed})`, async () => {
      const world = new World(seed);
      const final = await world.run();
      expect(checkListAppend(world.history, { realTime: true, final })).toEqual([]);
      expect(isLinearizable(world.swaps, 0)).toBe(true);
      const committed = world.history.filter(({ outcome }) => outcome === "committed");
      if (seed <= KNOWN) expect(committed.length).toBeGreaterThan(20);
    });
  }
});
