import { expect } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import { type Durability, type Encryption, type OpenOptions, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, Prng, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { breakDisk, mendDisk, spoilReads } from "./random-faults.js";
import { type Change, type ModelCommit, RandomModel } from "./random-model.js";

const KEYS = 24;
/** Half of the worlds encrypt, each life under one of two keys or under none. */
const [ONE, TWO] = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
const ENCRYPTIONS: readonly Encryption[] = [
  { key: ONE, previousKeys: [TWO] },
  { key: TWO, previousKeys: [ONE] },
  { key: null, previousKeys: [ONE, TWO] },
];
/** How an open may be turned down by a disk that is broken on purpose. */
const DISK_CODES = ["DISK_FULL", "IO_ERROR", "ACCESS_DENIED"];

interface HeldListing {
  readonly iterator: Iterator<{ key: unknown; value: string }>;
  readonly version: number;
  readonly moment: number;
  readonly rest: [string, string][];
}

/** One machine, one store after the other on its disk, and the model that knows what each must hold. */
export class RandomWorld {
  readonly #prng: Prng;
  readonly #storage: SimulatedStorage;
  readonly #model: RandomModel;
  #options: OpenOptions<string> = {};
  readonly #encrypts: boolean;
  #db: Store<string> | undefined;
  #alive = false;
  #end: "kill" | "power" = "kill";
  #death: Promise<undefined> = Promise.resolve(undefined);
  #tellDeath: () => void = () => {};
  #failed = false;
  #wrong: unknown;
  #held: HeldListing[] = [];
  #work: Promise<unknown>[] = [];

  constructor(seed: number) {
    this.#prng = new Prng(`random crash ${seed}`);
    const prng = this.#prng;
    this.#storage = simulatedStorage({
      seed,
      cryptography: nodeCryptography,
      profile: prng.pick(["posix-strict", "ext4-like"]),
      sectorBytes: prng.pick([512, 4096]),
      sectorAtomic: prng.chance(0.5),
      staleGarbage: prng.chance(0.3),
      clock: { resolutionMs: prng.pick([1, 1, 1000]) },
    });
    this.#encrypts = prng.chance(0.5);
    this.#model = new RandomModel(() => this.#storage.clock.wallMs());
  }

  async run(lives: number): Promise<void> {
    for (let life = 0; life < lives; life++) {
      await this.#open();
      const steps = whole(this.#prng, 1, 60);
      for (let i = 0; i < steps && this.#alive; i++) await this.#step();
      if (this.#alive) await this.#finish();
      if (this.#db !== undefined) this.#crash();
    }
    mendDisk(this.#storage);
  }

  #newOptions(): OpenOptions<string> {
    const prng = this.#prng;
    return {
      codec: "text",
      runtime: this.#storage.runtime,
      segmentBytes: 65_536,
      durability: prng.pick(["memory", "relaxed", "full"] satisfies Durability[]),
      sync: prng.pick(["background", "inline"]),
      flushCommits: prng.pick([3, 20, 100_000]),
      flushBytes: prng.pick([2000, 16 << 20]),
      ...(this.#encrypts && { encryption: prng.pick(ENCRYPTIONS) }),
      checkpoint: prng.pick([{}, { everyCommits: 10 }, { everyBytes: 100_000 }, { everyMs: 200 }]),
    };
  }

  /** Opens, through faults and further crashes, and compares with what must be there. */
  async #open(): Promise<void> {
    for (let attempt = 0; this.#db === undefined; attempt++) {
      mendDisk(this.#storage);
      this.#revive();
      let spoilt = false;
      if (attempt < 3) {
        if (this.#prng.chance(0.15)) this.#crashAfter(whole(this.#prng, 1, 60));
        if (this.#prng.chance(0.1)) this.#breakDisk();
        spoilt = this.#prng.chance(0.1);
        if (spoilt) spoilReads(this.#storage, this.#prng);
      }
      this.#options = this.#newOptions();
      try {
        this.#db = await this.#orDeath(open<string>("/place/data", this.#options));
      } catch (error) {
        const codes = spoilt ? [...DISK_CODES, "CORRUPT"] : DISK_CODES;
        if (this.#alive && !codes.includes(codeOf(error) ?? "")) throw error;
      }
      if (!this.#alive) {
        this.#db = undefined;
        this.#restart();
      }
    }
    mendDisk(this.#storage);
    this.#storage.disk.onOperation = undefined;
    this.#failed = false;
    const db = this.#db;
    portOf(db).engine.verify();
    this.#model.recovered(db, this.#end);
    this.#end = "kill";
    this.#watch(db);
    if (this.#prng.chance(0.3)) this.#crashAfter(whole(this.#prng, 1, 300));
  }

  #revive(): void {
    this.#alive = true;
    this.#death = new Promise((resolve) => (this.#tellDeath = () => resolve(undefined)));
  }

  /** What a killed process waits for may never come. */
  #orDeath<T>(work: Promise<T>): Promise<T | undefined> {
    return Promise.race([work, this.#death]);
  }

  #watch(db: Store<string>): void {
    const { process } = this.#storage;
    let last = 0;
    db.watch({}, ({ version, changes }) => {
      if (!this.#alive || this.#storage.process !== process) return;
      const before = last;
      last = version;
      const seen = changes.map(({ key, value }): [string, string | undefined] => [String(key), value]);
      this.#notice(() => {
        expect(version).toBeGreaterThan(before);
        this.#model.published(version, seen);
      });
      if (this.#prng.chance(0.05)) this.#write();
    });
  }

  #crashAfter(operations: number): void {
    let left = operations;
    const end = this.#prng.pick(["kill", "power"] as const);
    const phase = this.#prng.pick(["before", "after"] as const);
    this.#storage.disk.onOperation = (_operation, at) => {
      if (at !== phase || --left !== 0) return;
      this.#storage.disk.onOperation = undefined;
      this.#die(end);
    };
  }

  #die(end: "kill" | "power"): void {
    if (!this.#alive) return;
    this.#alive = false;
    if (end === "power") this.#end = "power";
    if (end === "power") this.#storage.powerCut();
    else this.#storage.kill();
    this.#tellDeath();
  }

  #restart(): void {
    this.#storage.disk.onOperation = undefined;
    this.#storage.restart();
    if (this.#end === "kill" && this.#prng.chance(0.3)) {
      this.#storage.powerCut();
      this.#storage.restart();
      this.#end = "power";
    }
  }

  #crash(): void {
    this.#die(this.#prng.pick(["kill", "power"]));
    this.#db = undefined;
    this.#held = [];
    this.#work = [];
    this.#restart();
  }

  #breakDisk(): void {
    if (breakDisk(this.#storage, this.#prng)) this.#end = "power";
  }

  async #step(): Promise<void> {
    const db = this.#db as Store<string>;
    const prng = this.#prng;
    const kind = prng.below(100);
    if (kind < 50) for (let i = whole(prng, 1, 8); i > 0 && this.#alive; i--) this.#write();
    else if (kind < 65) await this.#orDeath(this.#storage.runtime.timers.turn());
    else if (kind < 75) await this.#storage.advance(prng.pick([1, 10, 60, 500]));
    else if (kind < 80) this.#breakDisk();
    else if (kind < 83) mendDisk(this.#storage);
    else if (kind < 87) this.#attend(db.checkpoint());
    else if (kind < 90) this.#flush(db);
    else if (kind < 92) this.#model.swept(db, () => db.sweep(whole(prng, 1, 10)));
    else if (kind < 95) this.#hold(db);
    else if (kind < 98) this.#release();
    else if (prng.chance(0.2)) this.#attend(portOf(db).beginReplication());
    if (this.#wrong !== undefined) throw this.#wrong;
    if (!this.#alive) return;
    this.#model.observe(db);
    if (prng.chance(0.2)) portOf(db).engine.verify();
  }

  #attend(work: Promise<unknown>): void {
    const { process } = this.#storage;
    const failed = (error: unknown): void => {
      if (this.#storage.process === process) this.#expectError(error);
    };
    this.#work.push(work.catch(failed));
  }

  /** Only what the documents allow; a store that failed says so from then on. */
  #expectError(error: unknown): void {
    if (!this.#alive) return;
    const code = codeOf(error) ?? String(error);
    this.#notice(() =>
      expect([...DISK_CODES, "DURABILITY_UNKNOWN", "STORE_FAILED", "CLOSED"]).toContain(code),
    );
    if (code === "DURABILITY_UNKNOWN" || code === "STORE_FAILED") this.#failed = true;
  }

  /** A check that fails where nobody waits is told by the next step. */
  #notice(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#wrong ??= error;
    }
  }

  #flush(db: Store<string>): void {
    const { version } = db;
    const { process } = this.#storage;
    this.#attend(
      db.flush().then(() => {
        if (this.#alive && this.#storage.process === process) this.#model.synced(version);
      }),
    );
  }

  #change(): Change {
    const prng = this.#prng;
    const key = `k${prng.below(KEYS)}`;
    if (prng.chance(0.2)) return { key, value: undefined };
    const value = `${prng.below(1e9)}`.padEnd(prng.pick([5, 100, 5000, prng.chance(0.1) ? 70_000 : 10]), "x");
    return prng.chance(0.15) ? { key, value, ttl: prng.pick([1, 50, 1000, 100_000]) } : { key, value };
  }

  #write(): void {
    const db = this.#db as Store<string>;
    const prng = this.#prng;
    const changes = Array.from({ length: prng.chance(0.3) ? 1 + prng.below(12) : 1 }, () => this.#change());
    const level = prng.pick([undefined, "memory", "relaxed", "full"] satisfies (Durability | undefined)[]);
    const durability = level ?? (this.#options.durability as Durability);
    const options = { durability };
    const commit = this.#model.begin(db, changes, durability);
    const [first] = changes;
    const done =
      changes.length !== 1 || prng.chance(0.2)
        ? db.batch(
            changes.map(({ value, ...rest }) =>
              value === undefined ? { type: "delete", ...rest } : { type: "set", value, ...rest },
            ),
            options,
          )
        : first.value === undefined
          ? db.delete(first.key, options)
          : db.set(first.key, first.value, {
              ...options,
              ...(first.ttl === undefined ? {} : { ttl: first.ttl }),
            });
    if (this.#alive) this.#model.applied(db, commit);
    this.#follow(commit, done);
  }

  #follow(commit: ModelCommit, done: ReturnType<Store<string>["set"]>): void {
    const { process } = this.#storage;
    this.#work.push(
      done.then(
        (written) => {
          if (this.#alive && this.#storage.process === process)
            this.#notice(() => this.#model.acknowledged(this.#db as Store<string>, commit, written));
        },
        (error: unknown) => {
          if (!this.#alive || this.#storage.process !== process) return;
          this.#expectError(error);
          this.#notice(() => this.#model.rejected(this.#db as Store<string>, commit, codeOf(error) ?? ""));
        },
      ),
    );
  }

  #hold(db: Store<string>): void {
    const rest = this.#model.entries();
    const iterator = db.list()[Symbol.iterator]();
    const first = iterator.next();
    expect(first.done === true ? undefined : [first.value.key, first.value.value]).toEqual(rest.shift());
    if (first.done !== true)
      this.#held.push({ iterator, version: db.version, moment: this.#model.moment, rest });
  }

  #release(): void {
    const held = this.#held.shift();
    if (held === undefined) return;
    const lost = this.#model.isLostSince(held.moment, held.version);
    try {
      for (const expected of held.rest) {
        const next = held.iterator.next();
        expect(lost).toBe(false);
        expect([next.value?.key, next.value?.value]).toEqual(expected);
      }
      held.iterator.return?.();
    } catch (error) {
      expect(codeOf(error), String(error)).toBe("ROLLED_BACK");
      expect(lost).toBe(true);
    }
  }

  /** An orderly end, perhaps on a broken disk; afterwards perhaps a bit rots. */
  async #finish(): Promise<void> {
    const db = this.#db as Store<string>;
    if (this.#prng.chance(0.4)) return;
    while (this.#held.length > 0) this.#release();
    const faulty = this.#prng.chance(0.2);
    if (faulty) this.#breakDisk();
    else mendDisk(this.#storage);
    if (this.#prng.chance(0.5)) await db.flush().catch((error: unknown) => this.#expectError(error));
    const { process } = this.#storage;
    const closing = db.close().then(
      () => true,
      (error: unknown) => {
        if (this.#storage.process === process) this.#expectError(error);
        return false;
      },
    );
    const closed = await this.#orDeath(closing);
    if (!this.#alive) return;
    await Promise.all(this.#work);
    this.#work = [];
    if (closed !== true || faulty || this.#failed || db.status().state === "failed") return;
    this.#storage.disk.onOperation = undefined;
    mendDisk(this.#storage);
    this.#model.closed(db);
    this.#db = undefined;
    this.#die("power");
    this.#storage.restart();
    if (this.#prng.chance(0.3)) await this.#rot();
  }

  /** One bit of a closed directory rots: the store is refused, or nothing is missing. */
  async #rot(): Promise<void> {
    const files = [...this.#storage.disk.image()].filter(
      ([path, bytes]) => bytes.length > 0 && !path.includes("LOCK"),
    );
    const [path, bytes] = this.#prng.pick(files);
    const bits = [this.#prng.below(bytes.length * 8)];
    this.#storage.disk.rot(path, { bits });
    const { encryption } = this.#options;
    const { runtime } = this.#storage;
    const given = { codec: "text", runtime, ...(encryption !== undefined && { encryption }) } as const;
    const db = await open<string>("/place/data", given).catch((error: unknown) => {
      expect(codeOf(error)).toMatch(/CORRUPT|FORMAT_NEWER|NOT_A_STORE/);
      this.#storage.disk.rot(path, { bits });
    });
    if (db === undefined) return;
    this.#model.recovered(db, "power");
    await db.close();
    this.#model.closed(db);
  }
}

function whole(prng: Prng, least: number, most: number): number {
  return least + prng.below(most - least + 1);
}
