import { expect, test } from "vitest";
import type {
  BatchOperation,
  Change,
  CommitEvent,
  OpenOptions,
  Store,
  WatchStream,
} from "../../../src/index.js";
import { Prng, type SimulatedStorage } from "../../../src/testing/index.js";
import { errorOf, machine, openOn, take } from "./support.js";

const KEYS = 8;
/** FULMAR_SEEDS=first:count runs others, and more of them. */
const [FIRST, COUNT] = (process.env.FULMAR_SEEDS ?? "1:100").split(":").map(Number);

/** What the seeds came by. */
const met = { commits: 0, compacted: 0, gaps: 0, coalesced: 0 };

/** Any store, and consumers that stop and go on wherever they please: each must see exactly the commits. */
class World {
  readonly #prng: Prng;
  readonly #storage: SimulatedStorage;
  readonly #options: OpenOptions<string>;
  /** Every commit, as whoever watches everything without falling behind is shown it. */
  readonly #model: CommitEvent<string>[] = [];
  #db: Store<string> | undefined;
  #stream: WatchStream<string> | undefined;
  #watched: number | undefined;
  #coalesces = false;
  /** What the consumer has seen. */
  #position = 0;

  constructor(seed: number) {
    this.#prng = new Prng(`watch ${seed}`);
    this.#storage = machine(seed);
    this.#options = {
      historyBytes: this.#prng.pick([0, 70_000, 1 << 30]),
      durability: this.#prng.pick(["relaxed", "full"]),
    };
  }

  async run(): Promise<void> {
    await this.#open();
    const steps = 10 + this.#prng.below(60);
    for (let i = 0; i < steps; i++) await this.#step();
    await this.#consume(Number.POSITIVE_INFINITY);
    await this.#live().close();
  }

  #live(): Store<string> {
    if (this.#db === undefined) throw new Error("no store is open");
    return this.#db;
  }

  async #step(): Promise<void> {
    const roll = this.#prng.below(100);
    if (roll < 60) await this.#write();
    else if (roll < 68) await this.#live().checkpoint();
    else if (roll < 75) {
      // Segments are let go of while they are read.
      const done = this.#live().checkpoint();
      await this.#consume(1 + this.#prng.below(40));
      await done;
    } else if (roll < 80) await this.#restart();
    else if (roll < 90) this.#letGo();
    else await this.#consume(1 + this.#prng.below(12));
  }

  async #open(): Promise<void> {
    this.#db = await openOn(this.#storage, this.#options);
    this.#db.watch({}, (commit) => this.#model.push(commit));
  }

  async #restart(): Promise<void> {
    this.#letGo();
    await this.#live().flush();
    const end = this.#prng.below(3);
    if (end === 0) await this.#live().close();
    else if (end === 1) this.#storage.kill();
    else this.#storage.powerCut();
    await this.#open();
  }

  async #write(): Promise<void> {
    const prng = this.#prng;
    const count = 1 + prng.below(8);
    const done: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const operations = Array.from({ length: 1 + prng.below(3) }, (): BatchOperation<string> => {
        const key = prng.below(KEYS);
        if (prng.chance(0.2)) return { type: "delete", key };
        return { type: "set", key, value: String(prng.below(1000)).repeat(1 + prng.below(3000)) };
      });
      done.push(this.#live().batch(operations));
    }
    await Promise.all(done);
    // Segments are prepared in turns of the event loop.
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  #letGo(): void {
    this.#stream?.close();
    this.#stream = undefined;
  }

  #begin(): WatchStream<string> {
    const prng = this.#prng;
    this.#watched = prng.chance(0.3) ? prng.below(KEYS) : undefined;
    this.#coalesces = prng.chance(0.3);
    const limits = { commits: 1 + prng.below(10), bytes: prng.pick([1, 20_000, 1 << 20]) };
    const options = { since: this.#position, limits, coalesce: this.#coalesces };
    return this.#live().watch(this.#watched ?? {}, options);
  }

  /** Takes commits, at most so many, and at most as many as there are; compares each with the model. */
  async #consume(most: number): Promise<void> {
    this.#stream ??= this.#begin();
    for (let taken = 0; taken < most; ) {
      const expected = this.#expected();
      if (expected.length === 0) return;
      let commit: CommitEvent<string>;
      try {
        [commit] = await take(this.#stream, 1);
      } catch (error) {
        const { code, details } = await errorOf(Promise.reject(error));
        const { version, oldest } = details as { version: number; oldest: number };
        expect([code, oldest > this.#position]).toEqual(["COMPACTED", true]);
        this.#position = version;
        met.compacted++;
        this.#letGo();
        this.#stream = this.#begin();
        continue;
      }
      taken++;
      this.#check(commit, expected);
      this.#position = commit.version;
    }
  }

  /** What the consumer has not seen of what concerns it. */
  #expected(): CommitEvent<string>[] {
    const concerns = (key: unknown): boolean => this.#watched === undefined || key === this.#watched;
    return this.#model
      .filter(({ version }) => version > this.#position)
      .map((commit) => ({ ...commit, changes: commit.changes.filter(({ key }) => concerns(key)) }))
      .filter(({ changes }) => changes.length > 0);
  }

  #check(commit: CommitEvent<string>, expected: readonly CommitEvent<string>[]): void {
    met.commits++;
    if (commit.gap !== undefined) {
      met.gaps++;
      const { oldest } = this.#live().status().history;
      expect(commit.gap).toEqual({ after: commit.gap.after, through: commit.version });
      // Nothing may be missing that it has not seen the end of, and only if it was not kept.
      expect([commit.gap.after < expected[0].version, oldest > commit.gap.after]).toEqual([true, true]);
      return;
    }
    if (!this.#coalesces) {
      expect(commit).toEqual(expected[0]);
      return;
    }
    const latest = new Map<unknown, Change<string>>();
    for (const { version, changes } of expected) {
      if (version > commit.version) break;
      for (const change of changes) latest.set(change.key, change);
    }
    expect(commit.changes).toHaveLength(latest.size);
    if (expected[0].version < commit.version) met.coalesced++;
    for (const change of commit.changes) expect(change).toEqual(latest.get(change.key));
    expect(expected.some(({ version }) => version === commit.version)).toBe(true);
  }
}

test("T-WATCH-05: a consumer that stops and goes on anywhere sees exactly the commits, or is told", async () => {
  for (let seed = FIRST; seed < FIRST + (COUNT ?? 1); seed++) {
    try {
      await new World(seed).run();
    } catch (error) {
      expect.fail(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
  // Otherwise it would show less than it says.
  for (const count of Object.values(met)) expect(count).toBeGreaterThan(0);
}, 600_000);
