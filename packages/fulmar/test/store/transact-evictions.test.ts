import { expect, it } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import { type CommitEvent, type Eviction, open, type Transaction } from "../../src/index.js";
import { Prng } from "../../src/testing/index.js";

/**
 * Transactions in a store with too little memory, which evict to make room. A watch shows every commit; each
 * transaction must have read exactly the state right before its own commit, evictions included.
 */

const SEEDS = [1, Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31)];
const POLICIES: Eviction[] = ["lru", "lfu", "random", "arc", "sieve", "nearest-expiry"];
const KEYS = 400;
const ROUNDS = 100;
/** Each run goes on until it has seen this many of each, whatever its seed; the cap only ends one that never will. */
const SEEN_MIN = 50;
const ROUNDS_MAX = 10_000;
const CASES = POLICIES.flatMap((eviction) => SEEDS.map((seed) => [eviction, seed] as const));

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const head = (value: string): string => value.slice(0, 12);

/** One read, done again on a plain map: what it gave must be what the map gives. */
interface Seen {
  readonly from: string;
  /** Undefined: a read by key. */
  readonly limit: number | undefined;
  readonly reverse: boolean;
  readonly gave: string;
}

function readOn(tx: Transaction<string>, random: Prng): Seen {
  const from = `k${100 + random.below(KEYS)}`;
  const reverse = random.chance(0.5);
  if (random.chance(0.5)) return { from, limit: undefined, reverse, gave: head(tx.get(from) ?? "") };
  const limit = 1 + random.below(5);
  const range = reverse ? { gte: "k", lte: from } : { gte: from, lt: "l" };
  const entries = [...tx.list({ ...range, limit, reverse })];
  return { from, limit, reverse, gave: entries.map(({ key, value }) => `${key}=${head(value)}`).join() };
}

function again(state: ReadonlyMap<string, string>, { from, limit, reverse }: Seen): string {
  if (limit === undefined) return state.get(from) ?? "";
  const keys = [...state.keys()].filter(
    (key) => key.startsWith("k") && (reverse ? key <= from : key >= from),
  );
  keys.sort();
  if (reverse) keys.reverse();
  return keys
    .slice(0, limit)
    .map((key) => `${key}=${state.get(key)}`)
    .join();
}

it.each(CASES)("reads the state right before its own version (%s, seed %d)", async (eviction, seed) => {
  const random = new Prng(`evictions ${seed} ${eviction}`);
  await using db = await open<string>(undefined, { codec: "text", maxMemory: 1024 * 1024, eviction });
  const commits: CommitEvent<string>[] = [];
  let evictions = 0;
  db.watch({}, (commit) => {
    commits.push(commit);
    evictions += commit.changes.filter(({ reason }) => reason === "evicted").length;
  });
  const readsOf = new Map<number, Seen[]>();
  const transact = async (id: number): Promise<void> => {
    let reads: Seen[] = [];
    const body = async (tx: Transaction<string>): Promise<void> => {
      reads = [];
      for (let i = random.below(4); i >= 0; i--) {
        reads.push(readOn(tx, random));
        if (random.chance(0.3)) await turn();
      }
      for (let i = 0; i < 2; i++) {
        const value = `${id}.${i} `.padEnd(500 + random.below(6000), "x");
        tx.set(`k${100 + random.below(KEYS)}`, value, { ttl: 1e7 + random.below(1e6) });
      }
      tx.set(`mark ${id}`, "");
    };
    const code = await db.transact(body, { retries: 0 }).then(() => undefined, codeOf);
    expect([undefined, "CONFLICT", "MEMORY_FULL"]).toContain(code);
    const version = db.entry(`mark ${id}`)?.version;
    if (code === undefined && version !== undefined) readsOf.set(version, reads);
  };
  const seenEnough = (): boolean => readsOf.size > SEEN_MIN && evictions > SEEN_MIN;
  for (let round = 0; round < ROUNDS || (round < ROUNDS_MAX && !seenEnough()); round++) {
    await Promise.all([0, 1, 2, 3].map((index) => transact(4 * round + index)));
  }
  const state = new Map<string, string>();
  for (const { version, changes } of commits) {
    for (const seen of readsOf.get(version) ?? [])
      expect([version, seen.gave]).toEqual([version, again(state, seen)]);
    for (const { key, value } of changes) {
      if (value === undefined) state.delete(String(key));
      else state.set(String(key), head(value));
    }
  }
  expect(seenEnough(), `${readsOf.size} commits, ${evictions} evictions`).toBe(true);
});
