import type { DiskState } from "./disk-state.js";
import type { PendingOperation } from "./pending.js";
import type { Prng } from "./prng.js";

export interface CrashOptions {
  /** Whether a sector persists wholly or not at all; otherwise it may end at any byte. */
  readonly sectorAtomic: boolean;
  /** Space that a file grew over without its data arriving holds old bytes instead of zeros. */
  readonly staleGarbage: boolean;
}

/** What became of each pending operation, in order of issue: how many bytes of a write, 0 or 1 of the others. */
type Fate = readonly number[];

function wholeOf(operation: PendingOperation): number {
  return operation.kind === "write" ? operation.length : 1;
}

/** The fates that `operation` may have, given those of the operations before it. */
function legalFates(
  operation: PendingOperation,
  persisted: ReadonlySet<number>,
  state: DiskState,
  options: CrashOptions,
): number[] {
  const free = operation.needs.every((seq) => persisted.has(seq) || state.pending.get(seq) === undefined);
  if (!free) return [0];
  const whole = wholeOf(operation);
  if (operation.kind !== "write" || options.sectorAtomic) return [0, whole];
  return Array.from({ length: whole + 1 }, (_, length) => length);
}

/** Every legal combination of fates, nothing-persists first, everything last. */
function* everyFate(state: DiskState, options: CrashOptions): Generator<Fate> {
  const operations = [...state.pending.values()];
  const fate: number[] = [];
  const persisted = new Set<number>();
  function* extend(at: number): Generator<Fate> {
    const operation = operations[at];
    if (operation === undefined) return yield [...fate];
    for (const length of legalFates(operation, persisted, state, options)) {
      fate[at] = length;
      if (length === wholeOf(operation)) persisted.add(operation.seq);
      yield* extend(at + 1);
    }
    persisted.delete(operation.seq);
  }
  yield* extend(0);
}

/** The legal combination that is nearest to what `wish` says of each operation, given its legal fates. */
function nearestFate(
  state: DiskState,
  options: CrashOptions,
  wish: (at: number, fates: readonly number[]) => number,
): Fate {
  const persisted = new Set<number>();
  const fate: number[] = [];
  for (const operation of state.pending.values()) {
    const length = wish(fate.length, legalFates(operation, persisted, state, options));
    if (length === wholeOf(operation)) persisted.add(operation.seq);
    fate.push(length);
  }
  return fate;
}

const wholeFate = (fates: readonly number[]): number => fates[fates.length - 1] as number;

/** One legal combination, with its own taste: mostly lost, mostly kept, a prefix, or a fair mixture. */
function randomFate(state: DiskState, options: CrashOptions, prng: Prng): Fate {
  const keep = prng.pick([0.05, 0.5, 0.5, 0.95]);
  const prefix = prng.chance(0.2) ? prng.below(state.pending.size + 1) : undefined;
  return nearestFate(state, options, (at, fates) => {
    const kept = prefix === undefined ? prng.chance(keep) : at < prefix;
    if (fates.length > 2 && prng.chance(0.2)) return prng.pick(fates);
    return kept ? wholeFate(fates) : 0;
  });
}

/**
 * The combinations that programs forget most often, in random order: an end cut off, one operation lost
 * although all the others arrived, one that arrived alone.
 */
function* suspectFates(state: DiskState, options: CrashOptions, prng: Prng): Generator<Fate> {
  const count = state.pending.size;
  for (const number of prng.shuffle(Array.from({ length: 3 * count }, (_, i) => i))) {
    const one = Math.floor(number / 3);
    const keeps = [(at: number) => at < one, (at: number) => at !== one, (at: number) => at === one][
      number % 3
    ] as (at: number) => boolean;
    yield nearestFate(state, options, (at, fates) => (keeps(at) ? wholeFate(fates) : 0));
  }
}

/** The disk as a machine finds it that comes up again after the given fate. */
function imageOf(state: DiskState, fate: Fate, options: CrashOptions, prng: Prng): DiskState {
  const image = state.fork();
  let at = 0;
  for (const operation of [...image.pending.values()]) {
    const length = fate[at++] as number;
    if (options.staleGarbage && operation.kind === "write" && length < operation.length) {
      const { durable } = image.file(operation.inode);
      const garbage = new Uint8Array(operation.length);
      prng.fill(garbage);
      if (operation.position >= durable.sizeBytes)
        durable.write(operation.position, garbage, 0, garbage.length);
    }
    if (length > 0) image.persist(operation, length);
  }
  image.settle();
  return image;
}

/** What one power cut leaves. */
export function crashImage(state: DiskState, options: CrashOptions, prng: Prng): DiskState {
  return imageOf(state, randomFate(state, options, prng), options, prng);
}

/** A text that two disks share exactly when a program that opens them sees the same names and bytes. */
export function fingerprint(state: DiskState): string {
  const lines: string[] = [];
  for (const [path, inode] of state.walk("durable")) {
    if (inode.kind === "directory") lines.push(`${path}/`);
    else lines.push(`${path} ${inode.durable.sizeBytes} ${inode.durable.digest()}`);
  }
  return lines.join("\n");
}

/**
 * Different images that a power cut may leave: all of them when there are at most `limit` combinations,
 * otherwise `limit` draws: the two extremes, single operations lost or kept alone, cut-off ends, and random
 * ones. Equal images come once.
 */
export function* crashImages(
  state: DiskState,
  limit: number,
  options: CrashOptions,
  prng: Prng,
): Generator<DiskState> {
  const seen = new Set<string>();
  for (const fate of chosenFates(state, limit, options, prng)) {
    const image = imageOf(state, fate, options, prng);
    const mark = fingerprint(image);
    if (seen.has(mark)) continue;
    seen.add(mark);
    yield image;
  }
}

function* chosenFates(state: DiskState, limit: number, options: CrashOptions, prng: Prng): Generator<Fate> {
  const all: Fate[] = [];
  for (const fate of everyFate(state, options)) {
    all.push(fate);
    if (all.length > limit) break;
  }
  if (all.length <= limit) return yield* all;
  yield all[0] as Fate;
  yield [...state.pending.values()].map(wholeOf);
  const suspects = suspectFates(state, options, prng);
  for (let i = 2; i < limit; i++) {
    const suspect = i % 2 === 0 ? suspects.next() : undefined;
    yield suspect?.value ?? randomFate(state, options, prng);
  }
}
