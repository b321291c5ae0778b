import type { Ref } from "../engine.js";

/** Where evictions come from. What it offers may be taken back until it has left the engine. */
export interface Victims {
  /** Bytes of its own tables. */
  readonly tableBytes: number;
  /** Bytes that these grow by when so many keys are added, at most. */
  growthBytes(keys: number): number;
  /** Bytes of all that it could ever offer, at most. */
  readonly offeredBytes: number;
  /**
   * Begins a round. The engine must not change until its last call. If it spares what pins see, only keys are offered
   * whose memory would be freed.
   */
  begin(sparesPinned: boolean): void;
  /**
   * The key that goes next, by its record; NONE when there is no other, or none was found in reasonable time. It
   * counts as gone for the policy.
   */
  next(): Ref;
  /** The last one offered cannot go now: another one is wanted. */
  pass(ref: Ref): void;
  /** What was offered stays after all; in the order in which it was. */
  giveBack(refs: readonly Ref[]): void;
  /** A key was read. */
  touch(ref: Ref): void;
}
