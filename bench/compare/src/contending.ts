import { keyAt, shuffled } from "../../dist/measure.js";
import type { Handle, Level } from "./engine.js";
import type { CellResult, Context } from "./task.js";
import { type Measure, type Plan, type Step, warmThenMeasured } from "./writing.js";

/** Counters that all writers meet at. */
const COUNTERS = 10;
/** What one long read reads, and after how many entries it lets others go on. */
const LONG_READ = 10_000;
const LONG_READ_SLICE = 500;

/** Steps as many as time allows, over the same keys again and again, of a store that holds them all. */
function planOf(row: string, level: Level, writers: number, timeMs: number): Plan {
  return { row, level, writers, steps: Number.MAX_SAFE_INTEGER, entries: 1, timeMs, loaded: true };
}

/** Whether a library can do what a workload needs. */
async function isAble(
  { engine, directory }: Context,
  level: Level,
  needs: readonly (keyof Handle)[],
): Promise<boolean> {
  if (level === "full" && !engine.durable) return false;
  const probe = await engine.open(`${directory}-probe`, level);
  const able = needs.every((need) => probe[need] !== undefined);
  await probe.close();
  return able;
}

/** Two keys for each step, of the first `spread` in random order. */
function pairs(keys: number, spread: number): (index: number) => [string, string] {
  const order = shuffled(keys);
  return (index) => [keyAt(order[(2 * index) % spread]), keyAt(order[(2 * index + 1) % spread])];
}

function updates(keys: number, spread: number): Step {
  const pairAt = pairs(keys, spread);
  return (handle, index) => handle.update?.(...pairAt(index));
}

/** Reads two keys and writes both: of all keys in turn, or of the first few in turns that fall together. */
export function updating(
  row: string,
  level: Level,
  writers: number,
  spreadMax = Number.MAX_SAFE_INTEGER,
): Measure {
  return async (context) => {
    if (!(await isAble(context, level, ["update"]))) return {};
    const { keys, measureMs } = context;
    const step = updates(keys, Math.min(keys, spreadMax));
    return warmThenMeasured(context, planOf(row, level, writers, measureMs), step);
  };
}

/** Updates that let the event loop turn between reading and writing, and how many attempts each takes. */
export function updatingLater(
  row: string,
  attemptsRow: string,
  writers: number,
  spreadMax = Number.MAX_SAFE_INTEGER,
): Measure {
  return async (context) => {
    if (!(await isAble(context, "full", ["updateLater"]))) return {};
    const { keys, measureMs } = context;
    const pairAt = pairs(keys, Math.min(keys, spreadMax));
    let [updated, attempts] = [0, 0];
    const step: Step = async (handle, index) => {
      const taken = await handle.updateLater?.(...pairAt(index));
      attempts += taken ?? 0;
      updated++;
    };
    const result = await warmThenMeasured(context, planOf(row, "full", writers, measureMs), step);
    return { ...result, rows: { ...result.rows, [attemptsRow]: attempts / updated } };
  };
}

/** Adds one to one of ten counters, which all writers share. */
export function incrementing(row: string, level: Level, writers: number): Measure {
  return async (context) => {
    if (!(await isAble(context, level, ["increment"]))) return {};
    return warmThenMeasured(context, planOf(row, level, writers, context.measureMs), (handle, index) =>
      handle.increment?.(`counter:${index % COUNTERS}`),
    );
  };
}

/** Long reads of the store that is being written, one after the other. */
class LongReads {
  #handle: Handle | undefined;
  #ended: Promise<void> = Promise.resolve();
  #beganMs = 0;
  #count = 0;
  entriesPerSecond = 0;

  /** Goes on for as long as there are steps of this store. */
  beside(handle: Handle): void {
    if (this.#handle === handle) return;
    this.#handle = handle;
    this.#count = 0;
    this.#beganMs = performance.now();
    this.#ended = this.#readOn(handle);
  }

  async end(): Promise<void> {
    this.#handle = undefined;
    await this.#ended;
    this.entriesPerSecond = (1000 * LONG_READ * this.#count) / (performance.now() - this.#beganMs);
  }

  async #readOn(handle: Handle): Promise<void> {
    while (this.#handle === handle) {
      await handle.longRead?.(LONG_READ, LONG_READ_SLICE);
      this.#count++;
    }
  }
}

/** Updates while a long read of one state follows the other, and how many of those there were. */
export function updatingBesideReads(row: string, readsRow: string, level: Level, writers: number): Measure {
  return async (context): Promise<CellResult> => {
    if (!(await isAble(context, level, ["update", "longRead"]))) return {};
    const update = updates(context.keys, context.keys);
    const reads = new LongReads();
    const step: Step = (handle, index) => {
      reads.beside(handle);
      return update(handle, index);
    };
    const plan = planOf(row, level, writers, context.measureMs);
    const result = await warmThenMeasured(context, plan, step, () => reads.end());
    return { ...result, rows: { ...result.rows, [readsRow]: reads.entriesPerSecond } };
  };
}
