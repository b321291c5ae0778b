import type { Ref } from "../engine.js";

/** Keys that are not offered, since evicting them frees nothing: those that a user's pin sees, or any pin; or none. */
export type Spared = "nothing" | "users" | "pinned";

/** Where evictions come from. What it offers may be taken back until it has left the engine. */
export interface Victims {
  /** Bytes of its own tables. */
  readonly tableBytes: number;
  /** Bytes that these grow by when so many keys are added, at most. */
  growthBytes(keys: number): number;
  /** Bytes of all that it could ever offer, at most. */
  readonly offeredBytes: number;
  /** Begins a round. The engine must not change until its last call. */
  begin(spared: Spared): void;
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
