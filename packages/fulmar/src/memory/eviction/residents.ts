import { assert } from "../../base/assert.js";
import { OWN_PREFIX } from "../../keys/key.js";
import { ALL_KEYS } from "../../keys/range.js";
import { isTombstone, keyLengthOf, keyStart } from "../../record/entry.js";
import { type KeyTracker, LATEST, type MemoryEngine, NONE, type Ref } from "../engine.js";
import { NO_SLOT, type Policy } from "./policy.js";
import { SlotWords } from "./slot-words.js";
import type { Spared, Victims } from "./victims.js";

/** Hashes `bytes[from, to)` to 32 bits. */
export type Fingerprint = (bytes: Uint8Array, from: number, to: number) => number;

/** Keys that are enrolled at a time when a store opens. */
const ENROLLED_AT_ONCE = 10_000;
/** Keys in a row that a pin sees, after which a round leaves the order of the policy. */
const PASSED_MAX = 64;
/** Keys that were written beside a pin and are remembered for such a round; without pins there are none. */
const RECENT_MAX = 1024;

/**
 * The keys that can be read, as a policy knows them: gives each a slot, keeps for each slot the newest
 * record, and follows the engine through writes, deletions, expiry and rollbacks. The store's own data is
 * not among them.
 */
export class Residents implements KeyTracker, Victims {
  readonly #engine: MemoryEngine;
  readonly #policy: Policy;
  readonly #fingerprint: Fingerprint;
  /** The newest record of each slot; of a free one the next that is free. */
  readonly #refs = new SlotWords();
  /** Slots that were offered and whose keys are still in the engine: the policy does not know them. */
  readonly #offered = new Set<number>();
  /**
   * Slots of the keys that were written last while something was pinned, earliest first. Where pins see all that the
   * policy would let go for a long time, these are what can be freed: otherwise writes were refused until the order
   * had come round.
   */
  readonly #recent = new Set<number>();
  /** The rest of them, once a round has left the order of the policy. */
  #rest: Iterator<number> | undefined;
  #spared: Spared = "nothing";
  #free = NO_SLOT;
  #fresh = 1;
  #bytes = 0;
  #count = 0;

  constructor(engine: MemoryEngine, policy: Policy, fingerprint: Fingerprint) {
    this.#engine = engine;
    this.#policy = policy;
    this.#fingerprint = fingerprint;
  }

  get tableBytes(): number {
    return this.#refs.allocatedBytes + this.#policy.allocatedBytes;
  }

  get offeredBytes(): number {
    return this.#bytes;
  }

  growthBytes(keys: number): number {
    return this.#refs.growthBytes(this.#count + keys) * (1 + this.#policy.wordsPerSlot);
  }

  /** Keys that it follows. */
  get count(): number {
    return this.#count;
  }

  /**
   * Enters what a loaded engine holds, and follows it from then on. The order of use is not stored: keys
   * enter in the order in which they were written, those of earlier writers first, so that the oldest is
   * the next to go. Yields now and then, for the event loop; the engine must not change meanwhile.
   */
  *enroll(origins: number): Generator<void, void> {
    const engine = this.#engine;
    let count = 0;
    while (!engine.orderByOrigin()) yield;
    // Number 1 is the present writer; a directory that was copied has entries of earlier ones.
    for (let i = 1; i <= origins; i++) {
      const cursor = engine.byOrigin((i % origins) + 1, 0, Number.MAX_SAFE_INTEGER, LATEST);
      for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
        if (!isTombstone(engine.slab(ref), engine.offset(ref))) this.entered(ref, false);
        if (++count % ENROLLED_AT_ONCE === 0) yield;
      }
    }
    // A store that evicts has no peers, which alone would need it.
    engine.forgetOrder();
    engine.track(this);
  }

  makeRoom(): void {
    if (this.#free !== NO_SLOT) return;
    this.#refs.reserve(this.#fresh);
    this.#policy.reserve(this.#fresh);
  }

  entered(ref: Ref, isBack: boolean): void {
    const engine = this.#engine;
    const slab = engine.slab(ref);
    const start = keyStart(slab, engine.offset(ref));
    if (slab[start] === OWN_PREFIX) {
      engine.setSlot(ref, NO_SLOT);
      return;
    }
    const slot = this.#takeSlot();
    const bytes = engine.bytesOf(ref);
    engine.setSlot(ref, slot);
    this.#refs.set(slot, ref);
    this.#bytes += bytes;
    this.#count++;
    this.#remember(slot);
    if (isBack) this.#policy.restore(slot, bytes, this.#fingerprintOf(ref));
    else this.#policy.insert(slot, bytes, this.#fingerprintOf(ref));
  }

  replaced(before: Ref, ref: Ref): void {
    const slot = this.#engine.slot(ref);
    if (slot === NO_SLOT) return;
    const bytes = this.#engine.bytesOf(ref);
    this.#refs.set(slot, ref);
    this.#bytes += bytes - this.#engine.bytesOf(before);
    this.#remember(slot);
    this.#policy.resize(slot, bytes);
    this.#policy.touch(slot);
  }

  moved(ref: Ref): void {
    const slot = this.#engine.slot(ref);
    if (slot !== NO_SLOT) this.#refs.set(slot, ref);
  }

  left(ref: Ref): void {
    const slot = this.#engine.slot(ref);
    if (slot === NO_SLOT) return;
    this.#bytes -= this.#engine.bytesOf(ref);
    this.#count--;
    this.#recent.delete(slot);
    if (!this.#offered.delete(slot)) this.#policy.remove(slot);
    this.#refs.set(slot, this.#free);
    this.#free = slot;
  }

  touch(ref: Ref): void {
    const slot = this.#engine.slot(ref);
    if (slot !== NO_SLOT) this.#policy.touch(slot);
  }

  begin(spared: Spared): void {
    this.#spared = spared;
    this.#rest = undefined;
  }

  next(): Ref {
    for (let passed = 0; this.#rest === undefined && passed < PASSED_MAX; passed++) {
      const slot = this.#policy.victim();
      if (slot === NO_SLOT) return NONE;
      this.#policy.evict(slot);
      this.#offered.add(slot);
      const ref = this.#refs.get(slot);
      if (!this.#isSpared(ref)) return ref;
      this.pass(ref);
    }
    return this.#nextRecent();
  }

  pass(ref: Ref): void {
    this.giveBack([ref]);
    const slot = this.#engine.slot(ref);
    if (slot !== NO_SLOT) this.#policy.pass(slot);
  }

  giveBack(refs: readonly Ref[]): void {
    for (const ref of refs.toReversed()) {
      const slot = this.#engine.slot(ref);
      // It left and was taken back meanwhile: then the policy knows it again.
      if (!this.#offered.delete(slot)) continue;
      this.#policy.restore(slot, this.#engine.bytesOf(ref), this.#fingerprintOf(ref));
    }
  }

  /** Throws INVARIANT unless it follows exactly the keys that can be read. For tests: it walks everything. */
  verify(): void {
    const engine = this.#engine;
    const cursor = engine.scan(ALL_KEYS, LATEST, false);
    const seen = new Set<number>();
    let bytes = 0;
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      const slab = engine.slab(ref);
      const at = engine.offset(ref);
      if (isTombstone(slab, at) || slab[keyStart(slab, at)] === OWN_PREFIX) continue;
      const slot = engine.slot(ref);
      assert(slot !== NO_SLOT && !seen.has(slot) && this.#refs.get(slot) === ref, "a key has its slot");
      seen.add(slot);
      bytes += engine.bytesOf(ref);
    }
    assert(seen.size === this.#count && bytes === this.#bytes, "keys and their bytes are counted");
    assert(this.#offered.size === 0, "what was offered left, or came back");
    for (const slot of this.#recent) assert(seen.has(slot), "what was written last is there");
    assert(this.#policy.size === this.#count, "the policy knows every key");
    this.#policy.verify();
  }

  #isSpared(ref: Ref): boolean {
    return this.#spared !== "nothing" && this.#engine.isPinned(ref, this.#spared === "users");
  }

  /** A key that was written since the newest pin, whatever the policy thinks of it; earliest first. */
  #nextRecent(): Ref {
    this.#rest ??= this.#recent.values();
    for (let next = this.#rest.next(); next.done !== true; next = this.#rest.next()) {
      const slot = next.value;
      const ref = this.#refs.get(slot);
      if (this.#offered.has(slot)) continue;
      if (this.#isSpared(ref)) {
        // A later pin than those that it was remembered for sees it. Looked at again by each write, it would cost all.
        this.#recent.delete(slot);
        continue;
      }
      this.#policy.remove(slot);
      this.#offered.add(slot);
      return ref;
    }
    return NONE;
  }

  /** A key was written. What was written before the first pin is seen by it, and need not be remembered. */
  #remember(slot: number): void {
    const recent = this.#recent;
    if (!this.#engine.hasPins()) {
      if (recent.size > 0) recent.clear();
      return;
    }
    // At the end, wherever it was.
    recent.delete(slot);
    recent.add(slot);
    if (recent.size <= RECENT_MAX) return;
    for (const oldest of recent) {
      recent.delete(oldest);
      return;
    }
  }

  #takeSlot(): number {
    const slot = this.#free;
    if (slot !== NO_SLOT) {
      this.#free = this.#refs.get(slot);
      return slot;
    }
    this.makeRoom();
    return this.#fresh++;
  }

  #fingerprintOf(ref: Ref): number {
    if (!this.#policy.usesFingerprints) return 0;
    const slab = this.#engine.slab(ref);
    const start = keyStart(slab, this.#engine.offset(ref));
    return this.#fingerprint(slab, start, start + keyLengthOf(slab, this.#engine.offset(ref)));
  }
}
