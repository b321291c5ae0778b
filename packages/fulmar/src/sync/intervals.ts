import { Coverage, type Hole, type OriginCoverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";

/** What `to` covers and `from` does not, as sorted intervals of sequence numbers. */
export function missing(from: OriginCoverage, to: OriginCoverage): Hole[] {
  const owed = from.holes.filter((hole) => hole.from <= to.upTo);
  if (to.upTo > from.upTo) owed.push({ from: from.upTo + 1, to: to.upTo });
  const result: Hole[] = [];
  let next = 0;
  for (const interval of owed) {
    next = subtract({ from: interval.from, to: Math.min(interval.to, to.upTo) }, to.holes, next, result);
  }
  return result;
}

/**
 * Appends to `into` what of `interval` lies outside the sorted `holes`, of which those before `first` lie
 * before it. Returns the first that may matter to a later interval, so that many of both take one pass.
 */
function subtract(interval: Hole, holes: readonly Hole[], first: number, into: Hole[]): number {
  let { from } = interval;
  let i = first;
  for (; i < holes.length && holes[i].from <= interval.to; i++) {
    const hole = holes[i];
    if (hole.to < from) continue;
    if (hole.from > from) into.push({ from, to: hole.from - 1 });
    from = hole.to + 1;
    if (hole.to > interval.to) break;
  }
  if (from <= interval.to) into.push({ from, to: interval.to });
  return i;
}

/** The part of a coverage up to `through`. */
export function upThrough(coverage: OriginCoverage, through: number): OriginCoverage {
  if (through >= coverage.upTo) return coverage;
  const holes: Hole[] = [];
  for (const hole of coverage.holes) {
    if (hole.from <= through) holes.push({ from: hole.from, to: Math.min(hole.to, through) });
  }
  return { upTo: through, holes };
}

/** Where a cut begins and ends, for the origins that it changes. */
export interface Interval {
  readonly from: Coverage;
  readonly to: Coverage;
}

/**
 * What `ours` has beyond `base`. Holes of `base` stay holes, because commits that were refused are not
 * worth repeating with every cut, unless `withHoles` is set.
 */
export function difference(base: Coverage, ours: Coverage, withHoles: boolean): Interval {
  const from = new Coverage();
  const to = new Coverage();
  for (const [origin, coverage] of ours.origins()) {
    const known = base.of(origin);
    const isNews = withHoles ? missing(known, coverage).length > 0 : coverage.upTo > known.upTo;
    if (!isNews) continue;
    from.set(origin, known);
    to.set(origin, coverage);
    if (!withHoles) for (const hole of known.holes) to.punch(origin, hole);
  }
  return { from, to };
}

/** Exactly what `to` covers and `from` does not. */
export function beyond(from: Coverage, to: Coverage): Coverage {
  const result = new Coverage();
  for (const [origin, coverage] of to.origins()) {
    const intervals = missing(from.of(origin), coverage);
    const last = intervals.at(-1);
    if (last === undefined) continue;
    const holes: Hole[] = [];
    let next = 1;
    for (const interval of intervals) {
      if (interval.from > next) holes.push({ from: next, to: interval.from - 1 });
      next = interval.to + 1;
    }
    result.set(origin, { upTo: last.to, holes });
  }
  return result;
}

/**
 * What is covered once all pages up to (origin, seq) are there: origins before `origin` wholly, `origin` up to
 * `seq`.
 */
export function prefixOf(to: Coverage, origin: OriginId, seq: number): Coverage {
  const prefix = new Coverage();
  if (seq === 0) return prefix;
  for (const [id, coverage] of to.origins()) {
    if (id < origin) prefix.set(id, coverage);
    else if (id === origin) prefix.set(id, upThrough(coverage, seq));
  }
  return prefix;
}

/** How many commits `other` is behind `ours`, as far as sequence numbers tell. */
export function lagOf(ours: Coverage, other: Coverage): number {
  let lag = 0;
  for (const [origin, coverage] of ours.origins()) lag += Math.max(0, coverage.upTo - other.of(origin).upTo);
  return lag;
}
