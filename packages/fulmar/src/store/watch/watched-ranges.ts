import { isNoMemory } from "../../base/errors.js";
import type { KeyRange } from "../../keys/range.js";
import { RangeTree } from "./range-tree.js";
import { Segments, SegmentsBuilder } from "./segments.js";

/** Ranges that are looked at in one step of making new segments. */
const STEP_RANGES = 64;
/** So many keys, at least, are looked for in vain before new segments are begun. */
const VAIN_MIN = 16;

/** Segments in the making. */
interface Work {
  readonly builder: SegmentsBuilder;
  last: KeyRange | undefined;
  /** Ranges that were added meanwhile, wherever. */
  readonly added: KeyRange[];
}

/**
 * Ranges, and who is interested in them. A key is looked for in the tree of ranges only if the segments do not
 * tell that nobody wants it. As ranges come and go the segments say so less often; after some keys that were
 * looked for in vain, new ones are made, a step with each further one.
 */
export class WatchedRanges<T> {
  readonly #tree = new RangeTree<T>();
  #segments = Segments.none();
  /** Keys that were looked for in vain since the segments were made. */
  #vain = 0;
  #work: Work | undefined;

  add(range: KeyRange, item: T): void {
    this.#tree.add(range, item);
    this.#segments.cover(range);
    if (this.#work === undefined) return;
    this.#work.added.push(range);
    // So many of them would make new segments worth little.
    if (this.#work.added.length > STEP_RANGES + this.#tree.size / 4) this.#work = undefined;
  }

  remove(range: KeyRange, item: T): void {
    this.#tree.remove(range, item);
    if (this.#tree.size === 0) this.#replace(Segments.none());
  }

  /** Shows everybody who is interested in `key` until `found` returns true, and says whether it did. */
  some(key: Uint8Array, found: (item: T) => boolean): boolean {
    return this.#segments.covers(key) && this.#search(key, found);
  }

  #search(key: Uint8Array, found: (item: T) => boolean): boolean {
    let isWanted = false;
    const result = this.#tree.some(key, (item) => {
      isWanted = true;
      return found(item);
    });
    if (!isWanted) this.#improve();
    return result;
  }

  /** Called from within commits, which must not fail for it. */
  #improve(): void {
    const { size } = this.#tree;
    if (++this.#vain < Math.max(VAIN_MIN, size / STEP_RANGES)) return;
    try {
      this.#improveSome();
    } catch (cause) {
      if (!isNoMemory(cause)) throw cause;
      // There is no memory: what there is tells what it can, and after as many keys this is tried again.
      this.#vain = 0;
      this.#work = undefined;
    }
  }

  #improveSome(): void {
    this.#work ??= { builder: new SegmentsBuilder(), last: undefined, added: [] };
    const { builder, last, added } = this.#work;
    const ranges = this.#tree.next(last, STEP_RANGES);
    for (const range of ranges) builder.add(range);
    this.#work.last = ranges.at(-1) ?? last;
    if (ranges.length === STEP_RANGES) return;
    const segments = builder.finish();
    for (const range of added) segments.cover(range);
    this.#replace(segments);
  }

  #replace(segments: Segments): void {
    this.#segments = segments;
    this.#vain = 0;
    this.#work = undefined;
  }
}
