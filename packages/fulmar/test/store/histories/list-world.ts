import { codeOf } from "../../../src/base/errors.js";
import { open, type Store, type Transaction } from "../../../src/index.js";
import {
  checkListAppend,
  isLinearizable,
  type ListStep,
  type ListTransaction,
  Prng,
  type RegisterOperation,
} from "../../../src/testing/index.js";
import { Machine, stopped } from "./machine.js";

/** Seeds that once found something, when clients did less: with the rest they would be other histories. */
export const KEPT = [900_088];
const KEYS = ["a", "b", "c", "d", "e"];
const CLIENTS = 4;
const LIVES = 4;
const TRANSACTIONS = 25;

type Db = Store<number[]>;

/** Those of the keys that are in a namespace, and what else clients do: not in seeds that are kept. */
const INSIDE = ["d", "e"];

/** How a transaction scans, and which keys, all of them outside of the namespace or in it. */
interface Scan {
  readonly keys: readonly string[];
  readonly reverse: boolean;
  readonly limit: number;
}

/** What has lists by key. */
interface Lists {
  get(key: string): number[] | undefined;
}

/**
 * Clients that append to lists and read them, in transactions, atomic operations, snapshots and plain reads, in and
 * outside of a namespace, and watchers that follow, on a machine that loses power and processes at any moment. The
 * whole history must be strictly serializable, whatever was acknowledged must be there, what an attempt wrote that was
 * run again must be nowhere, and a counter of swaps must be linearizable.
 */
export class ListWorld {
  readonly history: ListTransaction[] = [];
  readonly swaps: RegisterOperation[] = [];
  final: ReadonlyMap<string, readonly number[]> = new Map();
  readonly #random: Prng;
  /** What scans are drawn from, beside everything else; without it, all of them are of everything. */
  readonly #scans: Prng | undefined;
  /** What clients do besides is drawn from, and the keys that are in the namespace. */
  readonly #more: Prng | undefined;
  readonly #inside: readonly string[];
  readonly #outside: readonly string[];
  readonly #machine: Machine;
  #element = 0;
  /** Transactions that only read: what they saw may still be lost, as nobody waited for it. */
  #unsure: ListTransaction[] = [];

  constructor(seed: number) {
    this.#random = new Prng(`histories ${seed}`);
    const isKept = KEPT.includes(seed);
    this.#scans = isKept ? undefined : new Prng(`scans ${seed}`);
    this.#more = isKept ? undefined : new Prng(`more ${seed}`);
    this.#inside = isKept ? [] : INSIDE;
    this.#outside = KEYS.filter((key) => !this.#inside.includes(key));
    this.#machine = new Machine(seed, this.#random.pick(["posix-strict", "ext4-like"]));
  }

  get crashes(): number {
    return this.#machine.crashes;
  }

  async run(): Promise<void> {
    for (let life = 0; life < LIVES; life++) await this.#live();
    const db = await this.#open();
    this.final = new Map(KEYS.map((key) => [key, this.#at(key, db, roomOf(db)).get(key) ?? []]));
    await db.close();
  }

  /** What no order of the transactions explains, and whether none explains the swaps. */
  contradictions(): string[] {
    const anomalies = checkListAppend(this.history, { realTime: true, final: this.final });
    const wrong = anomalies.map(({ kind, message }) => `${kind}: ${message}`);
    return isLinearizable(this.swaps, 0) ? wrong : [...wrong, "the swaps are not linearizable"];
  }

  /** Where a key is: in the store, a snapshot or transaction, or in the namespace of that. */
  #at<A, B>(key: string, all: A, room: B): A | B {
    return this.#inside.includes(key) ? room : all;
  }

  /** A state as a transaction that reads all of it. */
  #readAll(all: Lists, room: Lists): ListStep[] {
    return KEYS.map((key) => ({ do: "read", key, list: this.#at(key, all, room).get(key) ?? [] }));
  }

  #open(): Promise<Db> {
    const { runtime } = this.#machine.storage;
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
    this.#machine.begin(this.#random, 400, () => this.#forget());
    const watches = [this.#follow(db, this.#outside), this.#follow(roomOf(db), this.#inside)];
    const clients = Array.from({ length: CLIENTS }, (_, id) =>
      this.#client(db, this.#random.fork(`client ${id} ${this.#machine.now}`)),
    );
    await this.#machine.live(clients, async () => {
      for (const watch of watches) watch.close();
      await db.close();
      this.#certain(Number.POSITIVE_INFINITY);
    });
  }

  /** Everything that was over at a moment is on stable storage. */
  #certain(moment: number): void {
    for (const seen of this.#unsure) if (seen.end <= moment) this.history.push(seen);
    this.#unsure = this.#unsure.filter(({ end }) => end > moment);
  }

  #forget(): void {
    for (const seen of this.#unsure) this.history.push({ ...seen, outcome: "unknown" });
    this.#unsure = [];
  }

  async #client(db: Db, random: Prng): Promise<void> {
    for (let i = 0; i < TRANSACTIONS; i++) {
      if (this.#more?.chance(0.4) === true) await this.#doMore(db, this.#more);
      if (this.#machine.isDead) await stopped();
      const kind = random.below(10);
      if (kind < 6) await this.#transact(db, random);
      else if (kind === 6) await this.#snapshot(db, random);
      else if (kind === 7) this.#readNow(db, random);
      else if (kind === 8) await this.#swap(db, random);
      else await this.#machine.storage.runtime.timers.turn();
    }
  }

  async #transact(db: Db, random: Prng): Promise<void> {
    const begin = this.#machine.moment();
    let steps: ListStep[] = [];
    let outcome: ListTransaction["outcome"] = "unknown";
    const note = (): void => {
      const transaction = { id: `t${begin}`, outcome, steps, begin, end: this.#machine.moment() };
      const isWriting = steps.some((step) => step.do === "append");
      if (outcome !== "committed" || isWriting) this.history.push(transaction);
      else this.#unsure.push(transaction);
      if (outcome === "committed" && isWriting) this.#certain(begin);
    };
    const plan = Array.from({ length: 1 + random.below(4) }, () => ({
      key: random.pick(KEYS),
      appends: random.chance(0.5),
      lists: random.chance(0.2),
      waits: random.chance(0.5),
      scan: this.#scan(),
      hint: this.#more?.chance(0.3) === true ? this.#more.pick(KEYS) : undefined,
    }));
    const work = db.transact(
      async (tx) => {
        steps = [];
        const room = tx.in(roomOf(db));
        for (const { key, appends, lists, waits, scan, hint } of plan) {
          const place = this.#at(key, tx, room);
          // What is read so is of no consequence, and belongs to no order.
          if (hint !== undefined) this.#at(hint, tx, room).get(hint, { conflict: false });
          if (lists) steps.push(...read(this.#at(scan.keys[0], tx, room), scan));
          else if (appends) {
            const element = ++this.#element;
            steps.push({ do: "append", key, element });
            place.set(key, [...(place.get(key) ?? []), element]);
          } else steps.push({ do: "read", key, list: place.get(key) ?? [] });
          if (waits) await this.#machine.storage.runtime.timers.turn();
        }
      },
      { retries: this.#more?.pick([0, 0, 3]) ?? 0, durability: "full" },
    );
    const result = await this.#machine.orDeath(committedOrAborted(work));
    if (result === "dead" || this.#machine.isDead) {
      note();
      await stopped();
    } else outcome = result;
    note();
  }

  #scan(): Scan {
    const [scans, more] = [this.#scans, this.#more];
    if (scans === undefined || more === undefined) return { keys: KEYS, reverse: false, limit: KEYS.length };
    const keys = more.chance(0.7) ? this.#outside : this.#inside;
    return { keys, reverse: scans.chance(0.5), limit: 1 + scans.below(keys.length) };
  }

  /** What changes no list, or one by an atomic operation, whose checks tell what it depends on. */
  async #doMore(db: Db, more: Prng): Promise<void> {
    const key = more.pick(KEYS);
    const place = this.#at(key, db, roomOf(db));
    const kind = more.below(5);
    if (kind === 0) await this.#orDeath(place.touch(key, 1e9 + more.below(1e6), { durability: "relaxed" }));
    else if (kind === 1) await this.#orDeath(place.persist(key, { durability: "memory" }));
    else if (kind === 2)
      await this.#orDeath(db.set(["beside", more.below(9)], [], { ttl: 1 + more.below(50) }));
    else if (kind === 3) await this.#orDeath(db.clear({ prefix: ["beside"] }));
    else await this.#append(db, key, more.chance(0.5));
  }

  async #append(db: Db, key: string, waits: boolean): Promise<void> {
    const begin = this.#machine.moment();
    const { version = 0, value: list = [] } = this.#at(key, db, roomOf(db)).entry(key) ?? {};
    const element = ++this.#element;
    const operation = db.atomic();
    this.#at(key, operation, operation.in(roomOf(db)))
      .check({ key, version })
      .set(key, [...list, element]);
    if (waits) await this.#machine.storage.runtime.timers.turn();
    const steps: ListStep[] = [
      { do: "read", key, list },
      { do: "append", key, element },
    ];
    const outcome = await this.#machine.orDeath(operation.commit({ durability: "full" }));
    const name = outcome === "dead" ? "unknown" : outcome.ok ? "committed" : "aborted";
    this.history.push({ id: `a${begin}`, outcome: name, steps, begin, end: this.#machine.moment() });
    if (name === "committed") this.#certain(begin);
    if (outcome === "dead" || this.#machine.isDead) await stopped();
  }

  /** Once the machine is dead its program goes no further. */
  async #orDeath(work: Promise<unknown>): Promise<void> {
    if ((await this.#machine.orDeath(work)) === "dead") await stopped();
  }

  async #snapshot(db: Db, random: Prng): Promise<void> {
    const begin = this.#machine.moment();
    // What is read must not be lost again, or nobody could order it.
    await db.flush();
    this.#certain(begin);
    using snapshot = db.snapshot();
    const room = snapshot.in(roomOf(db));
    const first = this.#readAll(snapshot, room);
    if (random.chance(0.7)) await this.#machine.storage.runtime.timers.turn();
    const second = this.#readAll(snapshot, room);
    await db.flush();
    this.history.push({
      id: `s${begin}`,
      outcome: "committed",
      steps: [...first, ...second],
      begin,
      end: this.#machine.moment(),
    });
  }

  #readNow(db: Db, random: Prng): void {
    const begin = this.#machine.moment();
    const steps = this.#readAll(db, roomOf(db));
    const note = () =>
      this.history.push({ id: `r${begin}`, outcome: "committed", steps, begin, end: this.#machine.moment() });
    // Plain reads show what may still be lost: only once it is synced do they belong to the history.
    void random;
    void db.flush().then(note, () => {});
  }

  /** What a watcher has seen is, after each commit, a state of the keys that it watches. */
  #follow(db: Lists & Pick<Db, "watch">, keys: readonly string[]) {
    const lists = new Map(keys.map((key) => [key, db.get(key) ?? []]));
    return db.watch({ gte: KEYS[0], lte: KEYS[KEYS.length - 1] }, ({ version, changes }) => {
      const begin = this.#machine.moment();
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

  async #swap(db: Db, random: Prng): Promise<void> {
    const begin = this.#machine.moment();
    const before = db.get("swap")?.[0] ?? 0;
    const expected = random.chance(0.8) ? before : before + 1;
    const value = ++this.#element;
    const swap = { do: "swap", expected, value, begin } as const;
    const work = db.compareAndSwap("swap", expected === 0 ? undefined : [expected], [value], {
      durability: "full",
    });
    const result = await this.#machine.orDeath(work);
    if (result === "dead") {
      this.swaps.push({ ...swap, unknown: true, end: this.#machine.moment() });
      await stopped();
      return;
    }
    // One that was done is durable. What one that was not has seen may still be lost.
    if (!result.ok) await db.flush();
    this.swaps.push({ ...swap, done: result.ok, end: this.#machine.moment() });
  }
}

const roomOf = (db: Db) => db.namespace<number[]>("room");

function committedOrAborted(work: Promise<unknown>): Promise<"committed" | "aborted"> {
  return work.then(
    () => "committed" as const,
    (error: unknown) => (codeOf(error) === "CONFLICT" ? ("aborted" as const) : Promise.reject(error)),
  );
}

/** What a scan shows: the keys that it gives, those that it passes over, and nothing of those behind its limit. */
function read(tx: Transaction<number[]>, { keys, reverse, limit }: Scan): ListStep[] {
  const found = new Map<string, number[]>();
  for (const { key, value } of tx.list({ gte: KEYS[0], lte: KEYS[KEYS.length - 1], reverse, limit }))
    found.set(String(key), value);
  const inOrder = reverse ? [...keys].reverse() : keys;
  const last = [...found.keys()].at(-1);
  const seen =
    last === undefined || found.size < limit ? inOrder : inOrder.slice(0, inOrder.indexOf(last) + 1);
  return seen.map((key) => ({ do: "read", key, list: found.get(key) ?? [] }));
}
