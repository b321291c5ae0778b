import type { Unfilled } from "../base/uncounted.js";
import type { OriginId } from "./origins.js";

/**
 * What orders the versions of a key across all nodes: hybrid time first, then the writer's identity,
 * then its sequence number. All entries of one local commit share one stamp.
 */
export interface Stamp {
  /** Hybrid logical time: (ms since 2020) * 4096 + counter. */
  readonly hlc: number;
  /** The incarnation that wrote, as 32 hexadecimal digits. */
  readonly origin: OriginId;
  /** The writer's sequence number; one per commit, never reissued. */
  readonly seq: number;
}

/** Made for each commit, and kept until it is acknowledged. */
export function stampOf(hlc: number, origin: OriginId, seq: number): Stamp {
  const stamp: Unfilled<Stamp> = {};
  stamp.hlc = hlc;
  stamp.origin = origin;
  stamp.seq = seq;
  return stamp as Stamp;
}

/** Negative if `a` comes before `b`; zero only for the same stamp. The greater stamp wins a key. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.seq - b.seq;
}
