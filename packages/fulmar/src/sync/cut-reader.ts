import { type Cursor, type MemoryEngine, NONE, type Ref } from "../memory/engine.js";
import type { Hole } from "../record/coverage.js";
import { ENTRY_HEADER_BYTES, entryLength, seqOf, setOrigin } from "../record/entry.js";
import type { OriginId } from "../record/origins.js";
import type { Cut } from "../store/port.js";
import { type Interval, missing } from "./intervals.js";
import { ByteWriter } from "./protocol/byte-writer.js";
import { Dictionary } from "./protocol/dictionary.js";
import type { Entries } from "./protocol/messages.js";

/** The part of a page that the cut decides. */
export interface PageContent {
  readonly last: boolean;
  readonly partial: boolean;
  readonly throughOrigin: OriginId;
  readonly throughSeq: number;
  readonly dictionary: readonly OriginId[];
  readonly entries: Entries;
}

export interface CutReaderOptions {
  readonly engine: MemoryEngine;
  readonly cut: Cut;
  readonly interval: Interval;
  /** A page is closed at the end of the commit that reaches this. */
  readonly pageBytes: number;
  /** A page is closed even inside a commit when it reaches this. */
  readonly splitBytes: number;
}

interface Position {
  readonly origin: OriginId;
  readonly seq: number;
}

const BEFORE_ALL: Position = { origin: "", seq: 0 };

/** Reads the delta of one cut as pages, in order of (origin, seq). */
export class CutReader {
  readonly #options: CutReaderOptions;
  readonly #origins: OriginId[];
  #origin: OriginId = "";
  #owed: Hole[] = [];
  #cursor: Cursor | undefined;
  /** The next entry to go out, its position, and what of it is known to be whole before it. */
  #ref: Ref = NONE;
  #at: Position = BEFORE_ALL;
  #written: Position = BEFORE_ALL;
  #whole: Position = BEFORE_ALL;

  constructor(options: CutReaderOptions) {
    this.#options = options;
    const origins: OriginId[] = [];
    for (const [origin] of options.interval.to.origins()) origins.push(origin);
    this.#origins = origins.sort().reverse();
    this.#advance();
  }

  next(): PageContent {
    const { engine, pageBytes, splitBytes } = this.#options;
    const dictionary = new Dictionary();
    const writer = new ByteWriter(Math.min(pageBytes + ENTRY_HEADER_BYTES, 64 * 1024));
    let count = 0;
    while (this.#ref !== NONE) {
      const isNewCommit = this.#at.seq !== this.#written.seq || this.#at.origin !== this.#written.origin;
      if (isNewCommit) this.#whole = this.#written;
      if (count > 0 && writer.length >= (isNewCommit ? pageBytes : splitBytes)) {
        return this.#page(writer, count, dictionary, !isNewCommit);
      }
      const slab = engine.slab(this.#ref);
      const offset = engine.offset(this.#ref);
      const copy = writer.copy(slab, offset, offset + entryLength(slab, offset));
      setOrigin(copy.bytes, copy.at, dictionary.number(this.#at.origin));
      count++;
      this.#written = this.#at;
      this.#advance();
    }
    this.#whole = this.#written;
    return this.#page(writer, count, dictionary, false);
  }

  #page(writer: ByteWriter, count: number, dictionary: Dictionary, partial: boolean): PageContent {
    return {
      last: this.#ref === NONE,
      partial,
      throughOrigin: this.#whole.origin,
      throughSeq: this.#whole.seq,
      dictionary: dictionary.origins(),
      entries: { bytes: writer.finish(), count },
    };
  }

  /** Moves to the next entry that the cut owes. */
  #advance(): void {
    for (;;) {
      const ref = this.#cursor?.next() ?? NONE;
      if (ref !== NONE) {
        const { engine } = this.#options;
        this.#ref = ref;
        this.#at = { origin: this.#origin, seq: seqOf(engine.slab(ref), engine.offset(ref)) };
        return;
      }
      this.#cursor = undefined;
      if (!this.#openCursor()) {
        this.#ref = NONE;
        return;
      }
    }
  }

  #openCursor(): boolean {
    const { cut, interval } = this.#options;
    while (this.#owed.length === 0) {
      const origin = this.#origins.pop();
      if (origin === undefined) return false;
      this.#origin = origin;
      this.#owed = missing(interval.from.of(origin), interval.to.of(origin)).reverse();
    }
    const owed = this.#owed.pop();
    if (owed !== undefined) this.#cursor = cut.entries(this.#origin, owed.from - 1, owed.to);
    return true;
  }
}
