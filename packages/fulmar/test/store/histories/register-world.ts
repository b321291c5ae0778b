import { codeOf } from "../../../src/base/errors.js";
import { type Durability, open, type Snapshot, type Store, type Written } from "../../../src/index.js";
import { isLinearizable, Prng, type RegisterOperation } from "../../../src/testing/index.js";
import { Machine, stopped } from "./machine.js";
import { RegisterRecorder } from "./register-recorder.js";

const OUTSIDE = ["x", "y"];
const INSIDE = "z";
const KEYS = [...OUTSIDE, INSIDE];
const CLIENTS = 5;
const LIVES = 4;
const OPERATIONS = 24;
const BEGIN_MS = 1_767_225_600_000;
/** What everything lives in the namespace that is given no time. */
const TTL_INSIDE = 20;

type Db = Store<number>;
/** Where a register is: in the store or in its namespace. */
export type Place = Pick<
  Db,
  "get" | "entry" | "list" | "set" | "delete" | "compareAndSwap" | "create" | "atomic"
>;

/** Makes a store worse, so that a test can see whether anybody notices. */
export type Weakening = (place: Place, random: Prng, turn: () => Promise<void>) => Place;

/** How a client writes: at which level, and how long it lives. */
interface Manner {
  readonly durability: Durability;
  readonly ttl?: number;
}

/**
 * A few hot keys, outside of namespaces and in one in which everything expires, clients with all operations that one
 * key can have, and a machine that loses its process or its power. Time passes only where the world says so: then it
 * is known to the moment what was before a deadline, and what was after.
 */
export class RegisterWorld {
  operations = 0;
  readonly #random: Prng;
  readonly #machine: Machine;
  readonly #recorder: RegisterRecorder;
  readonly #weaken: Weakening | undefined;
  #deadlines: { readonly key: string; readonly value: number; readonly atMs: number }[] = [];
  #nowMs = BEGIN_MS;
  #value = 0;

  constructor(seed: number, weaken?: Weakening) {
    this.#random = new Prng(`registers ${seed}`);
    this.#machine = new Machine(seed, this.#random.pick(["posix-strict", "ext4-like"]));
    this.#recorder = new RegisterRecorder(this.#machine);
    this.#weaken = weaken;
  }

  get crashes(): number {
    return this.#machine.crashes;
  }

  get registers(): ReadonlyMap<string, readonly RegisterOperation[]> {
    return this.#recorder.registers;
  }

  async run(): Promise<void> {
    for (let life = 0; life < LIVES; life++) {
      await this.#live();
      if (this.#random.chance(0.5)) this.#pass(this.#random.below(60));
    }
    const db = await this.#open();
    this.#machine.revive();
    for (const key of KEYS) this.#read(key, () => this.#at(db, key).get(key));
    await db.close();
    this.#recorder.flushed(this.#machine.moment());
  }

  /** What no order of the operations explains: the keys, each with its history. */
  contradictions(): string[] {
    return [...this.registers]
      .filter(([, operations]) => !isLinearizable(operations, undefined))
      .map(([key, operations]) => `${key} is not linearizable:\n${operations.map(shown).join("\n")}`);
  }

  #open(): Promise<Db> {
    const { runtime } = this.#machine.storage;
    const wallMs = () => this.#nowMs;
    return open<number>("/db", {
      runtime: { ...runtime, clock: { wallMs, monotonicMs: () => runtime.clock.monotonicMs() } },
      checkpoint: this.#random.pick([{}, { everyCommits: 15 }]),
      segmentBytes: 65_536,
      sync: this.#random.pick(["inline", "background"]),
    });
  }

  #at(db: Db, key: string): Place {
    const place: Place = key === INSIDE ? roomOf(db) : db;
    const turn = () => this.#turn();
    return this.#weaken?.(place, this.#random, turn) ?? place;
  }

  #turn(): Promise<void> {
    return this.#machine.storage.runtime.timers.turn();
  }

  async #live(): Promise<void> {
    const db = await this.#open();
    this.#machine.begin(this.#random, 400, (how) => this.#recorder.crashed(how));
    const places = new Map(KEYS.map((key) => [key, this.#at(db, key)]));
    const clients = Array.from({ length: CLIENTS }, (_, id) =>
      this.#client(db, places, this.#random.fork(`client ${id} ${this.#machine.moment()}`)),
    );
    await this.#machine.live(clients, async () => {
      await db.close();
      this.#recorder.flushed(this.#machine.moment());
    });
  }

  async #client(db: Db, places: ReadonlyMap<string, Place>, random: Prng): Promise<void> {
    for (let i = 0; i < OPERATIONS; i++) {
      if (random.chance(0.3)) await this.#turn();
      const key = random.pick(KEYS);
      await this.#operate(db, key, places.get(key) as Place, random);
      if (this.#machine.isDead) await stopped();
      this.operations++;
    }
  }

  async #operate(db: Db, key: string, place: Place, random: Prng): Promise<void> {
    const kind = random.below(14);
    if (kind < 4) this.#look(db, key, place, random);
    else if (kind < 6) await this.#set(key, place, random);
    else if (kind === 6) await this.#delete(key, place, random);
    else if (kind < 9) await this.#swap(key, place, random);
    else if (kind === 9) await this.#create(key, place, random);
    else if (kind === 10) await this.#transact(db, key, random);
    else if (kind === 11) await this.#replace(key, place, random);
    else if (kind === 12) this.#pass(1 + random.below(16));
    else await this.#tidy(db, random);
  }

  /** Lets wall time pass: what has its deadline in it expires at this moment. */
  #pass(ms: number): void {
    this.#nowMs += ms;
    for (const { key, value, atMs } of this.#deadlines) {
      if (atMs <= this.#nowMs) this.#recorder.expired(key, value);
    }
    this.#deadlines = this.#deadlines.filter(({ atMs }) => atMs > this.#nowMs);
  }

  #read(key: string, value: () => number | undefined): void {
    const begin = this.#machine.moment();
    this.#recorder.saw(key, { do: "read", value: value(), begin, end: this.#machine.moment() });
  }

  #look(db: Db, key: string, place: Place, random: Prng): void {
    const kind = random.below(4);
    if (kind < 2) this.#read(key, () => place.get(key));
    else if (kind === 2) this.#read(key, () => [...place.list({ gte: key, lte: key })][0]?.value);
    else {
      using snapshot = db.snapshot();
      const state: Pick<Snapshot<number>, "get"> = key === INSIDE ? snapshot.in(roomOf(db)) : snapshot;
      this.#read(key, () => state.get(key));
    }
  }

  #manner(random: Prng): Manner {
    const durability = random.pick(["memory", "relaxed", "full", "full"] as const);
    return random.chance(0.4) ? { durability, ttl: 1 + random.below(20) } : { durability };
  }

  /** A new value, whose deadline is known. */
  #fresh(key: string, { ttl }: { readonly ttl?: number }): number {
    const value = ++this.#value;
    const lifetime = ttl ?? (key === INSIDE ? TTL_INSIDE : Number.POSITIVE_INFINITY);
    if (Number.isFinite(lifetime)) this.#deadlines.push({ key, value, atMs: this.#nowMs + lifetime });
    return value;
  }

  /** Does something, and records what came of it. A crash leaves that open. */
  async #attempt<T>(
    key: string,
    operation: Omit<RegisterOperation, "begin" | "end">,
    level: Durability,
    work: () => Promise<T>,
    record: (outcome: T, operation: RegisterOperation) => void = (_, done) =>
      this.#recorder.did(key, done, level),
  ): Promise<void> {
    const begin = this.#machine.moment();
    const outcome = await this.#machine.orDeath(work());
    const complete = { ...operation, begin, end: this.#machine.moment() };
    if (outcome !== "dead" && !this.#machine.isDead) record(outcome as T, complete);
    else this.#recorder.lost(key, complete);
  }

  /** With what it replaced, a write says as much as a swap. */
  #replaced(key: string, level: Durability) {
    return ({ previous }: Written<number>, operation: RegisterOperation): void =>
      this.#recorder.did(key, { ...operation, do: "swap", expected: previous?.value, done: true }, level);
  }

  async #set(key: string, place: Place, random: Prng): Promise<void> {
    const manner = this.#manner(random);
    const value = this.#fresh(key, manner);
    const write = { do: "write", value } as const;
    const level = manner.durability;
    if (random.chance(0.5)) await this.#attempt(key, write, level, () => place.set(key, value, manner));
    else {
      const work = () => place.set(key, value, { ...manner, previous: true });
      await this.#attempt(key, write, level, work, this.#replaced(key, level));
    }
  }

  async #delete(key: string, place: Place, random: Prng): Promise<void> {
    const { durability } = this.#manner(random);
    const deletion = { do: "write", value: undefined } as const;
    if (random.chance(0.5)) {
      await this.#attempt(key, deletion, durability, () => place.delete(key, { durability }));
    } else {
      const work = () => place.delete(key, { durability, previous: true });
      await this.#attempt(key, deletion, durability, work, this.#replaced(key, durability));
    }
  }

  async #swap(key: string, place: Place, random: Prng): Promise<void> {
    const manner = this.#manner(random);
    const before = place.get(key);
    if (random.chance(0.6)) await this.#turn();
    const expected = random.chance(0.9) ? before : this.#value;
    const value = random.chance(0.8) ? this.#fresh(key, manner) : undefined;
    const options = value === undefined ? { durability: manner.durability } : manner;
    const work = () => place.compareAndSwap(key, expected, value, options);
    await this.#condition(key, { do: "swap", expected, value }, manner, work);
  }

  async #create(key: string, place: Place, random: Prng): Promise<void> {
    const manner = this.#manner(random);
    const value = this.#fresh(key, manner);
    const operation = { do: "swap", expected: undefined, value } as const;
    await this.#condition(key, operation, manner, () => place.create(key, value, manner));
  }

  /** What was refused shows what was in its way; that may still be lost. */
  #condition(
    key: string,
    operation: Omit<RegisterOperation, "begin" | "end">,
    { durability }: Manner,
    work: () => ReturnType<Place["create"]>,
  ): Promise<void> {
    return this.#attempt(key, operation, durability, work, (outcome, complete) => {
      if (outcome.ok) return this.#recorder.did(key, { ...complete, done: true }, durability);
      this.#recorder.saw(key, { ...complete, done: false });
      this.#recorder.saw(key, { ...complete, do: "read", value: outcome.current?.value });
    });
  }

  /** Reads, waits and writes in a transaction: a swap, unless it meets a conflict. */
  async #transact(db: Db, key: string, random: Prng): Promise<void> {
    const value = ++this.#value;
    const { durability } = this.#manner(random);
    const isDeletion = random.chance(0.2);
    let expected: number | undefined;
    const work = db.transact(
      async (tx) => {
        const place = key === INSIDE ? tx.in(roomOf(db)) : tx;
        expected = place.get(key);
        await this.#turn();
        if (isDeletion) place.delete(key);
        else place.set(key, value, { ttl: Number.POSITIVE_INFINITY });
        return { ok: true };
      },
      { retries: 0, durability },
    );
    const outcome = () => work.catch((error: unknown) => refused(error));
    const operation = {
      do: "swap",
      value: isDeletion ? undefined : value,
      // Known only when it has run.
      get expected() {
        return expected;
      },
    } as const;
    await this.#attempt(key, operation, durability, outcome, ({ ok }, complete) => {
      if (ok) this.#recorder.did(key, { ...complete, expected, done: true }, durability);
    });
  }

  /** Replaces an entry by an atomic operation, unless somebody has changed it meanwhile. */
  async #replace(key: string, place: Place, random: Prng): Promise<void> {
    const { durability } = this.#manner(random);
    const { value: expected, version = 0 } = place.entry(key) ?? {};
    if (random.chance(0.6)) await this.#turn();
    const value = ++this.#value;
    const operation = { do: "swap", expected, value } as const;
    const atomic = place.atomic().check({ key, version }).set(key, value, { ttl: Number.POSITIVE_INFINITY });
    await this.#attempt(
      key,
      operation,
      durability,
      () => atomic.commit({ durability }),
      ({ ok }, done) => {
        if (ok) this.#recorder.did(key, { ...done, done: true }, durability);
      },
    );
  }

  /** What changes nothing that anybody reads. */
  async #tidy(db: Db, random: Prng): Promise<void> {
    const moment = this.#machine.moment();
    if (random.chance(0.4)) db.sweep();
    else {
      await this.#machine.orDeath(db.flush());
      if (!this.#machine.isDead) this.#recorder.flushed(moment);
    }
  }
}

const roomOf = (db: Db) => db.namespace<number>("room", { ttl: TTL_INSIDE });

function refused(error: unknown): { ok: boolean } {
  if (codeOf(error) === "CONFLICT") return { ok: false };
  throw error;
}

function shown({ begin, end, until, unknown, ...rest }: RegisterOperation): string {
  const certainty = unknown === true ? `unknown, until ${until}` : "known";
  return `${begin}..${end} ${certainty} ${JSON.stringify(rest)}`;
}
