/**
 * Which key goes when memory is full. A policy knows keys by their slots: small numbers from 1 on, one
 * for each key that it is told of, given again after the key has left. Nothing here knows records,
 * transactions or time; the bytes of a key are those that leave memory with it.
 */
export interface Policy {
  /** Whether {@link insert} wants a hash of the key, to know one again that it has seen go. */
  readonly usesFingerprints: boolean;
  /** 32-bit words that its tables have for each slot. */
  readonly wordsPerSlot: number;
  /** Keys that it holds. */
  readonly size: number;
  /** Bytes of its own tables. */
  readonly allocatedBytes: number;
  /** Allocates what tables need for slots up to this one: nothing but this asks for memory. */
  reserve(slot: number): void;
  /** A key is new. */
  insert(slot: number, bytes: number, fingerprint: number): void;
  /** A key that was evicted is back because that was undone: it is among the next to go. */
  restore(slot: number, bytes: number, fingerprint: number): void;
  /** A key was read or written again. */
  touch(slot: number): void;
  /** A key cannot go now, though it is next: others come first. */
  pass(slot: number): void;
  /** A key takes so many bytes from now on. */
  resize(slot: number, bytes: number): void;
  /** A key is gone for another reason than this policy. */
  remove(slot: number): void;
  /** The key that goes next, or {@link NO_SLOT}. It stays until {@link evict}, or another call changes the order. */
  victim(): number;
  /** Lets the present {@link victim} go. */
  evict(slot: number): void;
  /** Throws INVARIANT if its tables contradict each other. For tests: it walks everything. */
  verify(): void;
}

/** No key. */
export const NO_SLOT = 0;
