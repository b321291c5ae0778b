import { open, type Store } from "fulmar";
import { fill, openBytes } from "./fill.js";
import {
  concurrently,
  keyAt,
  latencyFigures,
  type Measurement,
  type Run,
  shuffled,
  turn,
  warmUp,
} from "./measure.js";

/** Loops that run transactions at once. */
const WRITERS = 64;
/** Keys that all of them meet at, where much is contended. */
const HOT_KEYS = 10;
/** Long readers beside them, and the keys that each lists before it begins again. */
const READERS = 4;
const READER_KEYS = 10_000;
const READER_SLICE = 500;

/** What the transactions of a workload do. */
export type Contention = "low" | "high" | "readers" | "increments";

interface Counts {
  attempts: number;
  commits: number;
  readerAttempts: number;
  reads: number;
}

/** A uniform stream of 32-bit numbers: xorshift (Marsaglia 2003). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function changed(value: Uint8Array | undefined): Uint8Array {
  if (value === undefined) throw new Error("a key is missing");
  const copy = new Uint8Array(value);
  copy[0]++;
  return copy;
}

/** A store with all keys, and what one transaction on it is. */
interface Setup {
  readonly db: Pick<Store<unknown>, "transact" | "close">;
  readonly step: (counts: Counts, first: string, second: string) => Promise<void>;
}

async function setUp(kind: Contention, directory: string, run: Run): Promise<Setup> {
  if (kind === "increments") return counting(directory);
  const db = await openBytes(directory, "relaxed");
  await fill(db, shuffled(run.keys), run.valueBytes);
  const step = async (counts: Counts, first: string, second: string): Promise<void> => {
    await db.transact(
      async (tx) => {
        counts.attempts++;
        const [a, b] = [tx.get(first), tx.get(second)];
        await Promise.resolve();
        tx.set(first, changed(a));
        tx.set(second, changed(b));
      },
      { timeoutMs: 60_000 },
    );
    counts.commits++;
  };
  return { db, step };
}

/** Increments read nothing, so that they conflict with nothing. */
async function counting(directory: string): Promise<Setup> {
  const db = await open<number>(directory, { durability: "relaxed" });
  const step = async (counts: Counts, first: string, second: string): Promise<void> => {
    await db.transact(async (tx) => {
      counts.attempts++;
      tx.increment(first);
      await Promise.resolve();
      tx.increment(second);
    });
    counts.commits++;
  };
  return { db, step };
}

/**
 * Transactions that read two keys, wait for a turn of promises as one that asks somebody would, and write
 * both; how many attempts a commit takes shows what optimism costs.
 */
export function contending(kind: Contention): (run: Run) => Promise<Measurement> {
  return async (run) => {
    const spread = kind === "low" ? run.keys : HOT_KEYS;
    const once = async (directory: string, timeMs: number) => {
      const { db, step } = await setUp(kind, directory, run);
      const counts: Counts = { attempts: 0, commits: 0, readerAttempts: 0, reads: 0 };
      const random = randomNumbers(88_172_645);
      const end = { reached: false };
      const readers =
        kind === "readers" ? Array.from({ length: READERS }, () => readOn(db, counts, end)) : [];
      const seen = await concurrently(WRITERS, Number.POSITIVE_INFINITY, timeMs, () =>
        step(counts, keyAt(random() % spread), keyAt(random() % spread)),
      );
      end.reached = true;
      await Promise.all(readers);
      await db.close();
      return { ...seen, counts };
    };
    await warmUp(run, once);
    const { operations, seconds, latencies, counts } = await once(run.directory, run.measureMs);
    const { curveMs: _, ...quantiles } = latencyFigures(latencies);
    return {
      workload: `transactions, contention ${kind}, ${WRITERS} in flight`,
      keys: run.keys,
      valueBytes: run.valueBytes,
      operations,
      perSecond: operations / seconds,
      ...quantiles,
      figures: {
        "attempts a commit": counts.attempts / Math.max(1, counts.commits),
        "long reads/s": counts.reads / seconds,
        "attempts a long read": kind === "readers" ? counts.readerAttempts / Math.max(1, counts.reads) : 0,
      },
    };
  };
}

/** Lists many keys in one transaction, with turns of the event loop in between, again and again. */
async function readOn(db: Setup["db"], counts: Counts, end: { readonly reached: boolean }): Promise<void> {
  while (!end.reached) {
    await db.transact(
      async (tx) => {
        counts.readerAttempts++;
        let seen = 0;
        for (const _ of tx.keys({ limit: READER_KEYS })) if (++seen % READER_SLICE === 0) await turn();
      },
      { timeoutMs: 60_000 },
    );
    counts.reads++;
  }
}
