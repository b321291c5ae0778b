import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../../base/limits.js";
import { DEADLINE_BYTES, ENTRY_HEADER_BYTES } from "../../record/entry.js";

/** What bounds the work and memory that a peer can cause. Sizes in bytes, times in ms. */

/** The newest protocol version that this code speaks, and the oldest. */
export const PROTOCOL_NEWEST = 1;
export const PROTOCOL_OLDEST = 1;

/** Longest frame of a peer that has not proven itself. */
export const HANDSHAKE_FRAME_BYTES_MAX = 4096;
/** A peer that has not proven itself by then is cut off. */
export const HANDSHAKE_MS_MAX = 5000;
/** Bytes taken from a peer that has not proven itself: HELLO and AUTH, a few times over where frames get lost. */
export const HANDSHAKE_BYTES_MAX = 8192;
/** The side that opened the connection says its last word again after so long without an answer. */
export const HANDSHAKE_REPEAT_MS = 1000;
/** Frames that fail their checksum or seal are dropped; more than this close the connection. */
export const BAD_FRAMES_MAX = 8;
/** Longest cluster label, in UTF-8 bytes. */
export const CLUSTER_BYTES_MAX = 255;
/** Longest text of a REJECT, in UTF-8 bytes. */
export const REJECT_TEXT_BYTES_MAX = 255;
/** Bytes of a nonce, of a proof, of a checksum and of what sealing adds. */
export const NONCE_BYTES = 32;
export const PROOF_BYTES = 32;
export const CHECKSUM_BYTES = 4;
export const SEAL_BYTES = 8 + 16;

/** A page is closed when its entries reach this, unless the option `pageBytes` says otherwise. */
export const PAGE_BYTES_DEFAULT = 256 * 1024;
export const PAGE_BYTES_LEAST = 256;
/** Inside one commit a page is only closed when it holds so much: smaller commits travel in one page. */
export const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Most pages and most bytes on their way to a peer that has not confirmed them; one page is always allowed. */
export const WINDOW_PAGES_MAX = 4;
export const WINDOW_BYTES_MAX = 4 * 1024 * 1024;
/** Room for the dictionary and coverage in a frame. */
const COVERAGE_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Longest frame of a proven peer. It rests on the library's limits, not on those that a store lowered:
 * a value above those is refused as one hole, and must not cost the connection.
 */
export const FRAME_BYTES_MAX =
  PAGE_BYTES_MAX +
  ENTRY_HEADER_BYTES +
  DEADLINE_BYTES +
  KEY_BYTES_MAX +
  VALUE_BYTES_MAX +
  COVERAGE_BYTES_MAX +
  SEAL_BYTES;
/** Most neighbours that one STATE may name. */
export const NEIGHBOURS_MAX = 1024;
/** Most members whose addresses are looked at. */
export const MEMBERS_MAX = 1024;
/** Longest address, in UTF-8 bytes. */
export const ADDRESS_BYTES_MAX = 300;

/** A cut whose peer takes nothing for so long lets go of its pin. */
export const CUT_LEASE_MS = 30_000;
/** A staged pull that no peer carries on for so long is thrown away, so that another can start afresh. */
export const STAGE_PATIENCE_MS = 60_000;
/** How long news of a writer that the peer is itself connected to is held back, because it gets them first hand. */
export const RELAY_DELAY_MS = 100;
/** How long the coverage gained from one peer waits before all others are told. */
export const STATE_DELAY_MS = 25;
/** How often refused commits are asked for again. */
export const HOLES_RETRY_MS = 30_000;
/** Heartbeats missed until a connection counts as lost. */
export const HEARTBEATS_MISSED_MAX = 3;
/** Wait after a failed merge: least and most. */
export const MERGE_RETRY_LEAST_MS = 500;
export const MERGE_RETRY_MOST_MS = 15_000;
/** A connection that is doubted ends without a sign of life within this. */
export const PROBE_MS = 3000;
/** How often unfinished pulls are looked after. */
export const HOUSEKEEPING_MS = 5000;
/** How long news may wait until it is looked for new members. */
export const DISCOVERY_DELAY_MS = 250;
/** Questions of a peer that come within this get one answer. */
export const ANSWER_DELAY_MS = 1;
/** A connection that lasted so long counts as success: the next back-off starts small again. */
export const CONNECTION_GOOD_MS = 5000;
/** Connections that have not proven themselves yet; one more, and the oldest of them is closed. */
export const STRANGERS_MAX = 64;
/** Most holes that one coverage of a message may have over all origins: work rises with them. */
export const HOLES_IN_MESSAGE_MAX = 131_072;
