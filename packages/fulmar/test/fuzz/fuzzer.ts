import { Prng } from "../../src/testing/index.js";
import { watchAllocations } from "./allocations.js";
import type { BlockCoverage, Stretch } from "./block-coverage.js";
import { mutated } from "./mutator.js";

/** A reader of untrusted bytes. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly bytesMax: number;
  /** Most bytes that one run may allocate in arrays. */
  readonly allocatedBytesMax: number;
  /** How many usual runs one takes as long as; 1 unless set. */
  readonly cost?: number;
  /** Inputs between two looks at the coverage, for targets that cost next to nothing. */
  readonly batch?: number;
  /** Mends checksums, so that what lies behind them is reached. */
  repair?(bytes: Uint8Array): void;
  /** Throws when the reader broke a promise; to be refused is none. */
  run(bytes: Uint8Array): Promise<void>;
}

export interface FuzzResult {
  readonly runs: number;
  readonly corpus: number;
  readonly covered: number;
}

/** Inputs between two looks at the coverage, which cost more than most runs. */
const BATCH = 64;
/** Most blocks of source that a run may go through, about twenty times what one does: {@link BlockCoverage.steps}. */
const STEPS_MAX = 400_000;

/**
 * Feeds changed inputs to a target, and keeps those that reached something new as beginnings for more.
 * Rejects with the first input that breaks a promise, shortened, and the seed that leads to it.
 */
export async function fuzz(
  target: FuzzTarget,
  seed: string,
  runs: number,
  coverage: BlockCoverage | undefined,
): Promise<FuzzResult> {
  const prng = new Prng(`fuzz ${target.name} ${seed}`);
  const corpus: Uint8Array[] = target.seeds.map((bytes) => bytes.slice());
  const all = async (inputs: readonly Uint8Array[]): Promise<Stretch[]> => {
    for (const bytes of inputs) await attempt(target, bytes, seed);
    const fresh = coverage?.fresh() ?? [];
    if (coverage !== undefined && coverage.steps > STEPS_MAX * inputs.length) await blame(inputs);
    return fresh;
  };
  /** Runs each input alone, and names the one that goes on for too long. */
  const blame = async (inputs: readonly Uint8Array[]): Promise<void> => {
    for (const bytes of inputs) {
      await attempt(target, bytes, seed);
      coverage?.fresh();
      const steps = coverage?.steps ?? 0;
      if (steps > STEPS_MAX) throw found(target, seed, `it takes ${steps} steps, above ${STEPS_MAX}`, bytes);
    }
  };
  /** Finds the inputs that reach something new by running ever smaller parts again. */
  const keepNew = async (inputs: readonly Uint8Array[], fresh: readonly Stretch[]): Promise<void> => {
    if (fresh.length > 0 && inputs.length > 1) {
      const middle = inputs.length >> 1;
      for (const half of [inputs.slice(0, middle), inputs.slice(middle)])
        await keepNew(half, await all(half));
    } else if (fresh.length > 0) corpus.push(...inputs);
    coverage?.remember(fresh);
  };
  coverage?.remember(await all(target.seeds));
  for (let done = 0; done < runs; ) {
    const batch: Uint8Array[] = [];
    for (; batch.length < (target.batch ?? BATCH) && done < runs; done++) {
      const bytes = mutated(prng.pick(corpus), prng, corpus, target.bytesMax);
      if (prng.chance(0.8)) target.repair?.(bytes);
      batch.push(bytes);
    }
    await keepNew(batch, await all(batch));
  }
  return { runs, corpus: corpus.length, covered: coverage?.size ?? 0 };
}

async function attempt(target: FuzzTarget, bytes: Uint8Array, seed: string): Promise<void> {
  try {
    await once(target, bytes);
  } catch (error) {
    const smallest = await shortened(target, bytes);
    throw found(target, seed, error instanceof Error ? error.message : String(error), smallest, error);
  }
}

function found(target: FuzzTarget, seed: string, what: string, input: Uint8Array, cause?: unknown): Error {
  const hex = Buffer.from(input).toString("hex");
  const shown = hex.length > 20_000 ? `${hex.slice(0, 20_000)}...` : hex;
  return new Error(`${target.name}, seed ${seed}: ${what}\ninput (${input.length} bytes): ${shown}`, {
    cause,
  });
}

async function once(target: FuzzTarget, bytes: Uint8Array): Promise<void> {
  const stop = watchAllocations(target.allocatedBytesMax);
  try {
    await target.run(bytes.slice());
  } finally {
    stop();
  }
}

/** Cuts off what is not needed for the failure. */
async function shortened(target: FuzzTarget, bytes: Uint8Array): Promise<Uint8Array> {
  let smallest = bytes;
  for (let step = bytes.length >> 1; step > 0; step >>= 1) {
    const shorter = smallest.slice(0, smallest.length - step);
    const fails = await once(target, shorter).then(
      () => false,
      () => true,
    );
    if (fails) smallest = shorter;
  }
  return smallest;
}
