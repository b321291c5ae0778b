import type { ErrorCode } from "../../base/errors.js";
import type { Coverage } from "../../record/coverage.js";
import type { OriginId } from "../../record/origins.js";

/** The first byte of every message. */
export const MESSAGE = {
  hello: 1,
  auth: 2,
  reject: 3,
  state: 4,
  ask: 5,
  page: 6,
  taken: 7,
} as const;

/** The first bytes of a HELLO after its type. */
export const MAGIC: readonly number[] = [0x46, 0x4c, 0x4d, 0x52];

/** Who is there, and what it speaks. The first message in both directions. */
export interface Hello {
  readonly type: "hello";
  readonly versionOldest: number;
  readonly versionNewest: number;
  /** Whether it has a secret, and so seals everything after the handshake. */
  readonly sealed: boolean;
  /** Whether it opened the connection. */
  readonly initiator: boolean;
  readonly incarnation: OriginId;
  readonly nonce: Uint8Array;
  readonly cluster: string;
  readonly name: string;
}

/** Proves knowledge of the secret over both HELLOs; all zero without a secret. */
export interface Auth {
  readonly type: "auth";
  readonly proof: Uint8Array;
}

/** Why the sender is about to close the connection. */
export interface Reject {
  readonly type: "reject";
  readonly code: ErrorCode;
  readonly text: string;
}

/** What the sender covers, and how it stands with the other side's cut. Also the heartbeat. */
export interface State {
  readonly type: "state";
  /** Rises with every STATE of a connection; an older one is ignored. */
  readonly number: number;
  /** The newest ASK that this answers. */
  readonly answers: number;
  /** The newest cut that is merged, or kept with the staged ones. */
  readonly doneCut: number;
  /** The cut being received or merged, or 0, and how many of its pages are taken. */
  readonly openCut: number;
  readonly openPages: number;
  /** Changes whenever {@link staged} lost something that was stated before. */
  readonly epoch: number;
  readonly wallMs: number;
  /** Only pages that complete a cut are welcome: another peer's pull is under way. */
  readonly pulling: boolean;
  /** Nothing is welcome: the store cannot write at present. */
  readonly stalled: boolean;
  /** Refused commits may be sent once more. */
  readonly retryHoles: boolean;
  /** Merged and synced. Origins that did not change since the STATE before may be left out. */
  readonly coverage: Coverage;
  /** What an unfinished pull has brought, beyond {@link coverage}. */
  readonly staged: Coverage | undefined;
  /** Whom the sender is connected to; undefined: as before. */
  readonly neighbours: readonly OriginId[] | undefined;
}

/** Please send a whole STATE. */
export interface Ask {
  readonly type: "ask";
  readonly number: number;
}

/** Entries back to back, in order of (origin, seq). Origins are numbered by the message's dictionary. */
export interface Entries {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** One page of a cut: a part of the delta of all origins between two coverages of one state. */
export interface Page {
  readonly type: "page";
  readonly cut: number;
  readonly index: number;
  readonly last: boolean;
  /** The page ends inside a commit, which the next one carries on. */
  readonly partial: boolean;
  /** The cut's starting point includes what the receiver stated as staged. */
  readonly onStage: boolean;
  /** The receiver's epoch that the starting point was stated in. */
  readonly epoch: number;
  /** The newest commit that this and all earlier pages hold whole, in order of (origin, seq); seq 0: none. */
  readonly throughOrigin: OriginId;
  readonly throughSeq: number;
  /** First page only: where the cut starts and ends, for the origins that it changes. */
  readonly from: Coverage;
  readonly to: Coverage;
  readonly dictionary: readonly OriginId[];
  readonly entries: Entries;
}

/** How a page was received. */
export type Verdict = "taken" | "pulling" | "gap" | "stalled";
export const VERDICTS: readonly Verdict[] = ["taken", "pulling", "gap", "stalled"];

/** `pages` of a cut are taken; any other verdict ends the cut. */
export interface Taken {
  readonly type: "taken";
  readonly verdict: Verdict;
  readonly cut: number;
  readonly pages: number;
}

export type Message = Hello | Auth | Reject | State | Ask | Page | Taken;

/** Codes that a REJECT may carry, by their number on the wire. Append only. */
export const REJECT_CODES: readonly ErrorCode[] = [
  "CONNECTION_LOST",
  "AUTHENTICATION_FAILED",
  "PROTOCOL_VERSION",
  "PROTOCOL_VIOLATION",
  "DUPLICATE_PEER",
  "CLOSED",
];
