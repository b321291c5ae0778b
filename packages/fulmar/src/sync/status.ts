import type { OriginId } from "../record/origins.js";
import type { Refusal } from "../store/port.js";
import type { Target } from "./dialer.js";
import { MEMBERS_MAX } from "./protocol/limits.js";
import type { Session } from "./session.js";

/** How this node stands with one peer, or with an address where none was met yet. */
export interface PeerStatus {
  /** The peer's incarnation; absent until it was met. */
  readonly id?: OriginId;
  readonly name: string;
  readonly address: string;
  readonly state: "connected" | "connecting" | "backoff" | "idle";
  /** Who opened the connection. */
  readonly direction?: "outgoing" | "incoming";
  /** Commits that the peer has not confirmed, over all writers. */
  readonly lagCommits: number;
  /** How long it has lacked some of them, in ms. */
  readonly lagMs: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly cuts: number;
  readonly cutsAbandoned: number;
  readonly entriesSent: number;
  readonly entriesReceived: number;
  /** Ms since the last sign of life; absent when there was none. */
  readonly lastContactMs?: number;
  /** How far its wall clock is ahead of this node's, in ms. */
  readonly clockOffsetMs?: number;
  /** Commits of it that were refused here, by reason. */
  readonly refused: Readonly<Record<Refusal["reason"], number>>;
  /** Times that it broke the protocol or could not prove itself. */
  readonly violations: number;
  /** Why it was last lost, or could not be reached. */
  readonly lastError?: string;
}

/** What is remembered of a peer beyond one connection. */
export interface PeerRecord {
  readonly refused: Record<Refusal["reason"], number>;
  violations: number;
  lastError: string | undefined;
}

export function newRecord(): PeerRecord {
  return {
    refused: { ahead: 0, "too-large": 0, forged: 0, damaged: 0 },
    violations: 0,
    lastError: undefined,
  };
}

/** The records of all peers ever met; the oldest are forgotten. */
export class PeerRecords {
  readonly #records = new Map<OriginId, PeerRecord>();

  of(id: OriginId): PeerRecord {
    const known = this.#records.get(id);
    if (known !== undefined) return known;
    const record = newRecord();
    this.#records.set(id, record);
    if (this.#records.size > MEMBERS_MAX) {
      for (const oldest of this.#records.keys()) {
        this.#records.delete(oldest);
        break;
      }
    }
    return record;
  }
}

export function sessionStatus(
  session: Session,
  record: PeerRecord,
  nowMs: number,
  address: string,
): PeerStatus {
  const { sender, receiver, counts, peer } = session;
  return {
    ...(peer === undefined ? {} : { id: peer.incarnation }),
    name: peer?.name ?? "",
    address,
    state: "connected",
    direction: session.initiator ? "outgoing" : "incoming",
    lagCommits: sender.lagCommits,
    lagMs: sender.lagMs,
    bytesSent: counts.bytesSent,
    bytesReceived: counts.bytesReceived,
    cuts: sender.counts.cuts,
    cutsAbandoned: sender.counts.abandoned,
    entriesSent: sender.counts.entries,
    entriesReceived: receiver.counts.entries,
    lastContactMs: Math.max(0, nowMs - session.lastContactMs),
    clockOffsetMs: session.clockOffsetMs,
    refused: { ...record.refused },
    violations: record.violations,
    ...(record.lastError === undefined ? {} : { lastError: record.lastError }),
  };
}

export function targetStatus(target: Target, record: PeerRecord, name: string): PeerStatus {
  const lastError = target.lastError ?? record.lastError;
  return {
    ...(target.id === undefined ? {} : { id: target.id }),
    name,
    address: target.address,
    state: target.phase === "backoff" ? "backoff" : target.phase === "idle" ? "idle" : "connecting",
    lagCommits: 0,
    lagMs: 0,
    bytesSent: 0,
    bytesReceived: 0,
    cuts: 0,
    cutsAbandoned: 0,
    entriesSent: 0,
    entriesReceived: 0,
    refused: { ...record.refused },
    violations: record.violations,
    ...(lastError === undefined ? {} : { lastError }),
  };
}
