import { assert } from "../base/assert.js";
import { COVERAGE_HOLES_MAX } from "../base/limits.js";
import type { OriginId } from "./origins.js";

/** Sequence numbers from `from` to `to`, both included. */
export interface Hole {
  readonly from: number;
  readonly to: number;
}

/**
 * What of one origin has been merged: every sequence number up to `upTo`, except those in `holes`
 * (sorted, disjoint, not adjacent).
 */
export interface OriginCoverage {
  readonly upTo: number;
  readonly holes: readonly Hole[];
}

const NO_HOLES: readonly Hole[] = Object.freeze([]);
const NOTHING: OriginCoverage = Object.freeze({ upTo: 0, holes: NO_HOLES });

/**
 * A version vector with holes: which commits of which origin a store has merged, or knows to be
 * superseded by what it has merged. Values are immutable; maps are copied by {@link copy}.
 */
export class Coverage {
  readonly #origins = new Map<OriginId, OriginCoverage>();

  origins(): IterableIterator<[OriginId, OriginCoverage]> {
    return this.#origins.entries();
  }

  get size(): number {
    return this.#origins.size;
  }

  of(origin: OriginId): OriginCoverage {
    return this.#origins.get(origin) ?? NOTHING;
  }

  set(origin: OriginId, coverage: OriginCoverage): void {
    assert(isCanonical(coverage), "holes are sorted, disjoint and below upTo");
    this.#origins.set(origin, coverage);
  }

  covers(origin: OriginId, seq: number): boolean {
    const { upTo, holes } = this.of(origin);
    return seq <= upTo && !holes.some((hole) => seq >= hole.from && seq <= hole.to);
  }

  /** Raises one origin to `upTo` without closing its holes. */
  advance(origin: OriginId, upTo: number): void {
    const now = this.of(origin);
    if (upTo > now.upTo) this.#origins.set(origin, { upTo, holes: now.holes });
  }

  /**
   * Adds everything that `other` covers; an origin with too many holes is parked below them, as by {@link
   * punch}.
   */
  join(other: Coverage): void {
    for (const [origin, theirs] of other.#origins) {
      this.#origins.set(origin, parked(unite(this.of(origin), theirs)));
    }
  }

  /**
   * Takes numbers back out: they were refused and are owed still. False when that makes too many
   * holes; the origin is then parked below them.
   */
  punch(origin: OriginId, hole: Hole): boolean {
    const now = this.of(origin);
    const holes = addHole(now.holes, { from: hole.from, to: Math.min(hole.to, now.upTo) });
    this.#origins.set(origin, parked({ upTo: now.upTo, holes }));
    return holes.length <= COVERAGE_HOLES_MAX;
  }

  /** Whether this covers everything that `other` does. */
  includes(other: Coverage): boolean {
    for (const [origin, theirs] of other.#origins) {
      if (!includesOrigin(this.of(origin), theirs)) return false;
    }
    return true;
  }

  /** Whether `upTo` of every origin is at least that of `other`: holes on either side are ignored. */
  reaches(other: Coverage): boolean {
    for (const [origin, theirs] of other.#origins) {
      if (this.of(origin).upTo < theirs.upTo) return false;
    }
    return true;
  }

  copy(): Coverage {
    const copy = new Coverage();
    for (const [origin, coverage] of this.#origins) copy.#origins.set(origin, coverage);
    return copy;
  }
}

function isCanonical({ upTo, holes }: OriginCoverage): boolean {
  let least = 1;
  for (const hole of holes) {
    if (hole.from < least || hole.to < hole.from || hole.to > upTo) return false;
    least = hole.to + 2;
  }
  return true;
}

/**
 * Gives up what lies above the last hole that may be kept: covering less is always safe, it is only asked
 * for again.
 */
function parked(coverage: OriginCoverage): OriginCoverage {
  const { holes } = coverage;
  if (holes.length <= COVERAGE_HOLES_MAX) return coverage;
  const upTo = holes[COVERAGE_HOLES_MAX].from - 1;
  return trim({ upTo, holes: holes.slice(0, COVERAGE_HOLES_MAX) });
}

/** A hole that reaches `upTo` is no hole: `upTo` was lower all along. */
function trim({ upTo, holes }: OriginCoverage): OriginCoverage {
  let top = upTo;
  let count = holes.length;
  while (count > 0 && holes[count - 1].to >= top) top = Math.min(top, holes[--count].from - 1);
  return { upTo: top, holes: count === holes.length ? holes : holes.slice(0, count) };
}

function addHole(holes: readonly Hole[], added: Hole): Hole[] {
  if (added.to < added.from) return [...holes];
  const result: Hole[] = [];
  let { from, to } = added;
  let placed = false;
  for (const hole of holes) {
    if (hole.to < from - 1) result.push(hole);
    else if (hole.from > to + 1) {
      if (!placed) result.push({ from, to });
      placed = true;
      result.push(hole);
    } else {
      from = Math.min(from, hole.from);
      to = Math.max(to, hole.to);
    }
  }
  if (!placed) result.push({ from, to });
  return result;
}

/** What neither side covers, below the higher of the two ends. */
function unite(a: OriginCoverage, b: OriginCoverage): OriginCoverage {
  const upTo = Math.max(a.upTo, b.upTo);
  const missingA = missingBelow(a, upTo);
  const missingB = missingBelow(b, upTo);
  const holes: Hole[] = [];
  let j = 0;
  for (let i = 0; i < missingA.length && j < missingB.length; ) {
    const from = Math.max(missingA[i].from, missingB[j].from);
    const to = Math.min(missingA[i].to, missingB[j].to);
    if (from <= to) holes.push({ from, to });
    if (missingA[i].to < missingB[j].to) i++;
    else j++;
  }
  return { upTo, holes: holes.length === 0 ? NO_HOLES : holes };
}

function missingBelow(coverage: OriginCoverage, upTo: number): Hole[] {
  const missing = [...coverage.holes];
  if (coverage.upTo < upTo) {
    const last = missing.at(-1);
    const from = coverage.upTo + 1;
    if (last !== undefined && last.to === coverage.upTo)
      missing[missing.length - 1] = { from: last.from, to: upTo };
    else missing.push({ from, to: upTo });
  }
  return missing;
}

function includesOrigin(a: OriginCoverage, b: OriginCoverage): boolean {
  for (const missing of missingBelow(a, Math.max(a.upTo, b.upTo))) {
    // `b` may cover none of what `a` misses.
    const covered = Math.min(missing.to, b.upTo);
    if (missing.from > covered) continue;
    if (!b.holes.some((hole) => hole.from <= missing.from && hole.to >= covered)) return false;
  }
  return true;
}
