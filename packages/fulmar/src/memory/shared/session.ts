import { FulmarError } from "../../base/errors.js";
import {
  ACTIVITY,
  CLOSED,
  DETACHED,
  EDITION,
  EPOCH,
  loadPair,
  NONE_YET,
  PIN,
  PUBLICATION,
  publicationAt,
  SECTION,
  TIME,
  VERSION,
} from "./control.js";
import type { ReadInProgress } from "./reader-tree.js";
import { TornRead } from "./view.js";

/** A read is begun anew so often when the owner takes it back. */
const READS_MAX = 16;
/** So often a reader tries to stay at a state that the owner goes on from. */
const REFRESHES_MAX = 100_000;

/** Which state a reader is at. */
export interface ReaderState {
  readonly version: number;
  /** Deadlines are judged by this time at least, in wall ms. */
  readonly timeMs: number;
}

/** A reader's side of the words in `control.ts`: staying at a state, and reading in it. */
export class ReaderSession implements ReadInProgress {
  readonly #control: Uint32Array;
  readonly #block: Uint32Array;
  /** Asks for news of memory. */
  readonly #learn: () => void;
  #publication = NONE_YET;
  #epoch = NONE_YET;
  #edition = 0;
  #activity = 0;
  #isClosed = false;
  #isDetached = false;

  constructor(control: Uint32Array, block: Uint32Array, learn: () => void) {
    this.#control = control;
    this.#block = block;
    this.#learn = learn;
  }

  /**
   * Goes on to the newest state. The owner pins what it finds announced before it lets go of anything, and
   * publishes before it looks: so either it finds this announcement, or this loop finds its publication.
   */
  refresh(): ReaderState {
    this.#assertOpen();
    this.#activity = (this.#activity + 1) >>> 0;
    Atomics.store(this.#block, ACTIVITY, this.#activity);
    for (let tries = 0; tries < REFRESHES_MAX; tries++) {
      const publication = Atomics.load(this.#control, PUBLICATION);
      const version = loadPair(this.#control, publicationAt(publication, VERSION));
      const timeMs = loadPair(this.#control, publicationAt(publication, TIME));
      Atomics.store(this.#block, PIN, publication);
      if (Atomics.load(this.#control, PUBLICATION) !== publication) continue;
      // What the owner had put there when it let go of this reader may just have been overwritten.
      this.#assertOpen();
      this.#publication = publication;
      return { version, timeMs };
    }
    throw new FulmarError("TIMEOUT", "the store changes faster than this reader can follow: refresh again");
  }

  /** Does `work` with memory that stays as it is meanwhile. It may be done more than once; it must not call out. */
  read<T>(work: () => T): T {
    for (let tries = 0; tries < READS_MAX; tries++) {
      this.#enter();
      let result: T | undefined;
      let failure: unknown;
      let isDone = false;
      try {
        result = work();
        isDone = true;
      } catch (error) {
        failure = error;
      }
      // What was read is good only if it is this exchange that ends the read.
      if (!this.#leave()) continue;
      if (isDone) return result as T;
      if (!(failure instanceof TornRead)) throw failure;
      throw new FulmarError("INVARIANT", `shared memory contradicts itself: ${failure.message}`, {
        cause: failure,
      });
    }
    throw new FulmarError("REVOKED", "the store took this read back again and again: try later");
  }

  check(): void {
    if (Atomics.load(this.#block, SECTION) !== this.#epoch) throw new TornRead("the read was taken back");
  }

  close(): void {
    this.#isClosed = true;
    Atomics.store(this.#block, PIN, NONE_YET);
  }

  #enter(): void {
    if (this.#isClosed) throw closed();
    // Nobody waits for this word: it need not be seen at once.
    this.#block[ACTIVITY] = this.#activity = (this.#activity + 1) >>> 0;
    this.#epoch = Atomics.load(this.#control, EPOCH);
    Atomics.store(this.#block, SECTION, this.#epoch);
    // Whatever went out of reach before the epoch that is found here is out of reach for this read as well.
    Atomics.load(this.#control, EPOCH);
    if (Atomics.load(this.#block, PIN) !== this.#publication || this.#isDetached) {
      this.#leave();
      this.#assertOpen();
      const message = "the store let go of the state that this reader stayed at without reading: refresh it";
      throw new FulmarError("REVOKED", message);
    }
    const edition = Atomics.load(this.#control, EDITION);
    if (edition === this.#edition) return;
    this.#edition = edition;
    this.#learn();
  }

  #leave(): boolean {
    return Atomics.compareExchange(this.#block, SECTION, this.#epoch, NONE_YET) === this.#epoch;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw closed();
    this.#isDetached ||= Atomics.load(this.#block, DETACHED) !== 0;
    if (!this.#isDetached) return;
    if (Atomics.load(this.#control, CLOSED) !== 0) throw new FulmarError("CLOSED", "the store is closed");
    throw new FulmarError("REVOKED", "the store let go of this reader: open another one");
  }
}

function closed(): FulmarError {
  return new FulmarError("CLOSED", "the reader is closed: open another one");
}
