import { FulmarTypeError } from "../base/errors.js";
import { isRevoked } from "../base/options.js";
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

/**
 * Negative if `a` comes before `b`; zero only for the same stamp. The greater stamp wins a key. @throws
 * FulmarTypeError INVALID_ARGUMENT for anything else.
 */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (!isStamp(a) || !isStamp(b)) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "compareStamps takes two stamps, as `entry` gives them");
  }
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.seq - b.seq;
}

function isStamp(given: unknown): boolean {
  if (typeof given !== "object" || given === null || isRevoked(given)) return false;
  const { hlc, origin, seq } = given as Partial<Stamp>;
  return typeof hlc === "number" && typeof origin === "string" && typeof seq === "number";
}
