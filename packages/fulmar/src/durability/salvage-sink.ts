import { ADOPTED_NUMBERS_MAX } from "../base/limits.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import { hlcOf, setHlc, setOrigin, setSeq } from "../record/entry.js";
import { type OriginId, OriginTable } from "../record/origins.js";
import { newIdentity } from "./first-open.js";
import { newEngine } from "./new-store.js";

/** Overwritten versions are let go of after so many entries. */
const SETTLE_EVERY_ENTRIES = 4096;

/**
 * Takes what is saved as commits of one new writer. Who wrote what cannot be proven any more, nor what of each
 * origin is still there: so nothing is claimed of any, and peers send everything that this store lacks and
 * take from it what they lack. Times stay, so that the greatest wins as before.
 */
export class SalvageSink {
  readonly incarnation: OriginId;
  readonly engine: MemoryEngine;
  readonly origins = new OriginTable();
  seq = 0;
  hlc = 0;
  version = 0;
  /** Entries whose time no store reaches. */
  timesLost = 0;
  #lastHlc = -1;
  #unsettled = 0;

  constructor(runtime: Runtime) {
    this.incarnation = newIdentity(runtime);
    this.origins.intern(this.incarnation);
    this.engine = newEngine(runtime, this.origins);
    // A deletion has to win over what is read later, whoever deleted.
    this.engine.keepTombstones = true;
  }

  /** Takes an entry of a commit, changing writer and number in place. Versions never decrease. */
  add(version: number, bytes: Uint8Array, at: number, length: number): void {
    let hlc = hlcOf(bytes, at);
    if (hlc > ADOPTED_NUMBERS_MAX) {
      hlc = this.hlc;
      setHlc(bytes, at, hlc);
      this.timesLost++;
    }
    // Entries of one commit and one time share a number, as entries of one local commit do.
    if (version !== this.version || hlc !== this.#lastHlc) this.seq++;
    this.version = version;
    this.#lastHlc = hlc;
    this.hlc = Math.max(this.hlc, hlc);
    setOrigin(bytes, at, 1);
    setSeq(bytes, at, this.seq);
    this.engine.put(version, bytes, at, length);
    if (++this.#unsettled < SETTLE_EVERY_ENTRIES) return;
    this.#unsettled = 0;
    // More entries of this version may come: all of a checkpoint have the same.
    this.engine.settle(version - 1);
  }

  settle(): void {
    this.engine.settle(this.version);
  }
}
