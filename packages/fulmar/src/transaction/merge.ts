import { assert } from "../base/assert.js";
import type { Limits } from "../base/limits.js";
import { CLOCK_DRIFT_MS_MAX } from "../base/limits.js";
import type { Checksum } from "../base/runtime/interface.js";
import { isKey, OWN_PREFIX } from "../keys/key.js";
import { keyText } from "../keys/key-text.js";
import { isNamespaceKey } from "../keys/namespace.js";
import { LATEST, type MemoryEngine, NONE } from "../memory/engine.js";
import type { Coverage, OriginCoverage } from "../record/coverage.js";
import { Coverage as CoverageSet } from "../record/coverage.js";
import {
  checkedEntryLength,
  hlcOf,
  isTombstone,
  keyLengthOf,
  keyOf,
  originOf,
  seqOf,
  valueChecksumOf,
  valueLengthOf,
  valueStart,
} from "../record/entry.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginId, OriginTable } from "../record/origins.js";
import type { CommitBody } from "./commit-body.js";
import type { EntryRuns } from "./entry-runs.js";
import type { WantedChange } from "./memory-limit.js";

/** A commit that was not merged, and why. It stays a hole in the coverage until it is. */
export interface Refusal {
  readonly origin: OriginId;
  readonly seq: number;
  /**
   * `ahead`: stamped too far in the future. `too-large`: over a limit of this store. `forged`:
   * contradicts a commit with the same origin and number, or claims to be this store's own. `damaged`:
   * a value that does not match its checksum, or a key that no store writes.
   */
  readonly reason: "ahead" | "too-large" | "forged" | "damaged";
}

/** An entry that wins its key. */
export interface Winner {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly key: Uint8Array;
}

export interface MergePlan {
  readonly winners: readonly Winner[];
  readonly winnersBytes: number;
  readonly stale: number;
  readonly refused: readonly Refusal[];
  /** The greatest stamp time among the winners. */
  readonly hlc: number;
}

/** What a merge is decided on. */
export interface MergeContext {
  readonly engine: MemoryEngine;
  readonly origins: OriginTable;
  readonly clock: HybridClock;
  readonly checksum: Checksum;
  readonly limits: Limits;
  readonly ownOrigin: number;
  /** The newest sequence number that this store has given out. */
  readonly ownSeq: number;
}

/** Entries that one step of planning looks at. */
export const ENTRIES_PER_STEP = 256;

/**
 * Decides what of some foreign entries changes this store: last writer wins, by stamp, key by key. A
 * commit of which one entry is refused is refused as a whole. Changes nothing itself.
 */
export function planMerge(context: MergeContext, pages: readonly Uint8Array[]): MergePlan {
  return lastOf(planMergeInSteps(context, pages));
}

/**
 * The same, a few entries in each step. What the store holds may change between steps, except that nothing
 * may be taken back; what was written meanwhile has to be looked at by {@link stillWinning}.
 */
export function* planMergeInSteps(
  context: MergeContext,
  pages: readonly Uint8Array[],
): Generator<void, MergePlan> {
  const refused = yield* findRefusals(context, pages);
  const best = new Map<string, Winner>();
  let stale = 0;
  let seen = 0;
  for (const bytes of pages) {
    for (let at = 0, length = 0; at < bytes.length; at += length) {
      if (++seen % ENTRIES_PER_STEP === 0) yield;
      length = checkedEntryLength(bytes, at, bytes.length);
      assert(length > 0, "merged pages hold well-formed entries");
      if (refused.size > 0 && refused.has(dot(bytes, at))) continue;
      const key = keyOf(bytes, at);
      const name = keyText(key);
      const rival = best.get(name);
      const beatsRival = rival === undefined || compareEntries(context, bytes, at, rival.bytes, rival.at) > 0;
      if (!beatsRival || !beatsStored(context, key, bytes, at)) {
        stale++;
        continue;
      }
      if (rival !== undefined) stale++;
      best.set(name, { bytes, at, length, key });
    }
  }
  return yield* newPlan(best.values(), stale, [...refused.values()]);
}

/** Whether a winner of a plan was not overtaken by local writes since that was begun. */
export function stillWins(context: MergeContext, { key, bytes, at }: Winner): boolean {
  return beatsStored(context, key, bytes, at);
}

function* newPlan(
  best: Iterable<Winner>,
  stale: number,
  refused: readonly Refusal[],
): Generator<void, MergePlan> {
  const winners: Winner[] = [];
  let winnersBytes = 0;
  let hlc = 0;
  for (const winner of best) {
    if (winners.push(winner) % ENTRIES_PER_STEP === 0) yield;
    winnersBytes += winner.length;
    hlc = Math.max(hlc, hlcOf(winner.bytes, winner.at));
  }
  return { winners, winnersBytes, stale, refused, hlc };
}

/** The plan without what was overtaken by local writes since it was begun. */
export function stillWinning(context: MergeContext, plan: MergePlan): MergePlan {
  const winners = plan.winners.filter((winner) => stillWins(context, winner));
  const steps = newPlan(winners, plan.stale + plan.winners.length - winners.length, plan.refused);
  return lastOf(steps);
}

/** Takes all steps at once. */
function lastOf<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The winners as entries of a commit; with `hidden` they are in memory already, and are copied from there. */
export function winnersOf({ winners, winnersBytes }: MergePlan, hidden?: EntryRuns): CommitBody {
  return {
    entryCount: winners.length,
    entriesBytes: winnersBytes,
    changed: winners,
    ...(hidden === undefined ? {} : { copyHidden: (bytes, at) => hidden.copy(bytes, at) }),
    write(index, bytes, at) {
      const winner = winners[index];
      bytes.set(winner.bytes.subarray(winner.at, winner.at + winner.length), at);
      return at + winner.length;
    },
  };
}

function* findRefusals(
  context: MergeContext,
  pages: readonly Uint8Array[],
): Generator<void, Map<string, Refusal>> {
  const refused = new Map<string, Refusal>();
  // One commit has one time: two times for one (origin, seq) are a forgery or a broken writer.
  const times = new Map<number, Map<number, number>>();
  let seen = 0;
  for (const bytes of pages) {
    for (let at = 0, length = 0; at < bytes.length; at += length) {
      if (++seen % ENTRIES_PER_STEP === 0) yield;
      length = checkedEntryLength(bytes, at, bytes.length);
      assert(length > 0, "merged pages hold well-formed entries");
      const origin = originOf(bytes, at);
      const seq = seqOf(bytes, at);
      const hlc = hlcOf(bytes, at);
      let timesOf = times.get(origin);
      if (timesOf === undefined) {
        timesOf = new Map();
        times.set(origin, timesOf);
      }
      const reason = (timesOf.get(seq) ?? hlc) !== hlc ? "forged" : refusalOf(context, bytes, at);
      timesOf.set(seq, hlc);
      if (reason === undefined || refused.has(dot(bytes, at))) continue;
      refused.set(dot(bytes, at), { origin: context.origins.id(origin), seq, reason });
    }
  }
  return refused;
}

function refusalOf(context: MergeContext, bytes: Uint8Array, at: number): Refusal["reason"] | undefined {
  const { engine, clock, limits, origins } = context;
  const origin = originOf(bytes, at);
  const seq = seqOf(bytes, at);
  const hlc = hlcOf(bytes, at);
  if (origin === context.ownOrigin && seq > context.ownSeq) return "forged";
  if (clock.isAhead(hlc, CLOCK_DRIFT_MS_MAX) && hlc > clock.last) return "ahead";
  if (keyLengthOf(bytes, at) > limits.keyBytesMax) return "too-large";
  if (valueLengthOf(bytes, at) > limits.valueBytesMax) return "too-large";
  if (!isIntact(context, bytes, at)) return "damaged";
  const twin = engine.byOrigin(origin, seq - 1, seq, LATEST).next();
  if (twin !== NONE && hlcOf(engine.slab(twin), engine.offset(twin)) !== hlc) return "forged";
  const stored = engine.find(keyOf(bytes, at), LATEST);
  if (stored === NONE) return undefined;
  const slab = engine.slab(stored);
  const offset = engine.offset(stored);
  const same = compareStoredStamps(origins, bytes, at, slab, offset) === 0;
  return same && valueChecksumOf(bytes, at) !== valueChecksumOf(slab, offset) ? "forged" : undefined;
}

/** A frame's checksum says that the bytes are what the peer sent, this that they are what the writer wrote. */
function isIntact({ checksum }: MergeContext, bytes: Uint8Array, at: number): boolean {
  const value = valueStart(bytes, at);
  const length = valueLengthOf(bytes, at);
  if (
    !isTombstone(bytes, at) &&
    checksum.crc32(bytes, value, value + length, 0) !== valueChecksumOf(bytes, at)
  ) {
    return false;
  }
  const key = keyOf(bytes, at);
  return key[0] === OWN_PREFIX || isNamespaceKey(key) || isKey(key);
}

function beatsStored(context: MergeContext, key: Uint8Array, bytes: Uint8Array, at: number): boolean {
  const { engine } = context;
  const stored = engine.find(key, LATEST);
  if (stored === NONE) return true;
  return compareEntries(context, bytes, at, engine.slab(stored), engine.offset(stored)) > 0;
}

function compareEntries(
  { origins }: MergeContext,
  a: Uint8Array,
  aAt: number,
  b: Uint8Array,
  bAt: number,
): number {
  return compareStoredStamps(origins, a, aAt, b, bAt);
}

/** The order of two entries' stamps, as `compareStamps`, without building them. */
function compareStoredStamps(
  origins: OriginTable,
  a: Uint8Array,
  aAt: number,
  b: Uint8Array,
  bAt: number,
): number {
  const time = hlcOf(a, aAt) - hlcOf(b, bAt);
  if (time !== 0) return time;
  const originA = originOf(a, aAt);
  const originB = originOf(b, bAt);
  if (originA !== originB) return origins.id(originA) < origins.id(originB) ? -1 : 1;
  return seqOf(a, aAt) - seqOf(b, bAt);
}

/** What the winners of a merge need in memory. The store's own data is merged whether there is room or not. */
export function roomForWinners({ winners }: MergePlan): WantedChange[] {
  return winners
    .filter(({ key }) => key[0] !== OWN_PREFIX)
    .map(({ key, bytes, at, length }) => ({ key, entryBytes: length, isDeletion: isTombstone(bytes, at) }));
}

/**
 * The coverage of each foreign origin after a merge that adds `adds` and refused some commits; only
 * those that change.
 */
export function planCoverage(
  now: Coverage,
  adds: Coverage,
  refused: readonly Refusal[],
  ownId: OriginId,
): Map<OriginId, OriginCoverage> {
  const after = new CoverageSet();
  const refusedOf = new Map<OriginId, number[]>();
  for (const { origin, seq } of refused) {
    const known = refusedOf.get(origin);
    if (known === undefined) refusedOf.set(origin, [seq]);
    else known.push(seq);
  }
  for (const [origin, coverage] of adds.origins()) {
    if (origin === ownId) continue;
    after.set(origin, now.of(origin));
    const added = new CoverageSet();
    added.set(origin, coverage);
    for (const seq of refusedOf.get(origin) ?? []) added.punch(origin, { from: seq, to: seq });
    after.join(added);
  }
  const changes = new Map<OriginId, OriginCoverage>();
  for (const [origin, coverage] of after.origins()) {
    if (!sameCoverage(coverage, now.of(origin))) changes.set(origin, coverage);
  }
  return changes;
}

function sameCoverage(a: OriginCoverage, b: OriginCoverage): boolean {
  if (a.upTo !== b.upTo || a.holes.length !== b.holes.length) return false;
  return a.holes.every((hole, i) => hole.from === b.holes[i].from && hole.to === b.holes[i].to);
}

function dot(bytes: Uint8Array, at: number): string {
  return `${originOf(bytes, at)}:${seqOf(bytes, at)}`;
}
