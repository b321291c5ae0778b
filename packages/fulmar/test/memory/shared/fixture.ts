import { toHex } from "../../../src/base/bytes.js";
import { ALL_KEYS, type KeyRange } from "../../../src/keys/range.js";
import { type MemoryEngine, NONE, type Pin, type Ref } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import type { EngineShape } from "../../../src/memory/offheap/shape.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import type { MemoryKind } from "../../../src/memory/shared/buffers.js";
import { ReaderTree } from "../../../src/memory/shared/reader-tree.js";
import { ReaderSession } from "../../../src/memory/shared/session.js";
import {
  type Attached,
  mappedBuffers,
  Sharing,
  type SharingBounds,
} from "../../../src/memory/shared/sharing.js";
import { SharedView } from "../../../src/memory/shared/view.js";
import { isTombstone } from "../../../src/record/entry.js";
import { bytesOf, entry, put, quickHash, shown } from "../fixtures.js";

/** Whoever waits for a reader to reach for memory. */
export interface Stepper {
  step(): void;
}

class SteppedView extends SharedView {
  stepper: Stepper | undefined;
  /** Told of each word of a node that is read otherwise than atomically: its index in the node. */
  readPlainly: ((word: number) => void) | undefined;
  /** The real words for those that tell what is read of them. */
  readonly #atomic = new WeakMap<Uint32Array, Uint32Array>();

  override nodeWords(node: number): Uint32Array {
    this.stepper?.step();
    const words = super.nodeWords(node);
    const { readPlainly } = this;
    if (readPlainly === undefined) return words;
    const telling = new Proxy(words, {
      get: (_, name) => {
        readPlainly(Number(name) % this.layout.nodeWords);
        return Reflect.get(words, name) as unknown;
      },
    });
    this.#atomic.set(telling, words);
    return telling;
  }

  override pointer(words: Uint32Array, at: number): number {
    this.stepper?.step();
    return super.pointer(this.#atomic.get(words) ?? words, at);
  }

  override slab(ref: Ref): Uint8Array {
    this.stepper?.step();
    return super.slab(ref);
  }
}

/** A reader in the owner's thread: each access to memory can be an occasion for the owner to go on. */
export class SteppedReader {
  readonly attached: Attached;
  readonly session: ReaderSession;
  readonly view: SteppedView;
  readonly #tree: ReaderTree;
  readonly #news: [MemoryKind, number, SharedArrayBuffer | undefined][] = [];
  version = 0;

  constructor(sharing: Sharing) {
    this.attached = sharing.attach();
    const learn = (): void => {
      for (const item of this.#news.splice(0)) this.view.map(...item);
    };
    this.view = new SteppedView(sharing.layout, learn);
    this.session = new ReaderSession(sharing.control, this.attached.block, learn);
    this.#tree = new ReaderTree(this.view, sharing.control, this.session);
    for (const item of mappedBuffers(sharing.buffers)) this.#news.push([...item]);
    const before = sharing.buffers.mapped;
    sharing.buffers.mapped = (kind, number, buffer) => {
      before(kind, number, buffer);
      this.#news.push([kind, number, buffer]);
    };
    this.refresh();
  }

  refresh(): void {
    this.version = this.session.refresh().version;
  }

  find(key: Uint8Array): string {
    return this.session.read(() => this.#shown(this.#tree.find(key, this.version)));
  }

  scan(range: KeyRange, reverse: boolean, limit = Number.POSITIVE_INFINITY): string[] {
    return this.session.read(() => {
      const found: string[] = [];
      this.#tree.scan(range, reverse, this.version, (ref) => {
        const shown = this.#shown(ref);
        if (shown !== "none") found.push(shown);
        return found.length < limit;
      });
      return found;
    });
  }

  /** All that is there, in one read that finds its way first, and looks at what it found after `between`. */
  scanAround(between: () => void): string[] {
    return this.session.read(() => {
      const refs: Ref[] = [];
      this.#tree.scan(ALL_KEYS, false, this.version, (ref) => refs.push(ref) > 0);
      between();
      return refs.map((ref) => this.#shown(ref)).filter((shown) => shown !== "none");
    });
  }

  /** How long a tombstone stays is not a matter of what a reader sees. */
  #shown(ref: Ref): string {
    if (ref === NONE || isTombstone(this.view.slab(ref), this.view.offset(ref))) return "none";
    const length = this.view.checkedLength(ref, true);
    const at = this.view.offset(ref);
    const bytes = new Uint8Array(this.view.slab(ref).subarray(at, at + length));
    return `${this.view.versionOf(ref)} ${toHex(bytes)}`;
  }
}

export interface OwnerOptions {
  readonly seed: number;
  readonly shape: Partial<EngineShape>;
  readonly bounds?: SharingBounds;
  /** Keys that there can be, or how many. */
  readonly keys?: number | readonly Uint8Array[];
}

/** The owner of shared memory, and the plain engine beside it that says what is right. */
export class Owner {
  readonly sharing: Sharing;
  readonly engine: MemoryEngine;
  readonly plain: MemoryEngine = createPlainEngine({ hash: quickHash });
  readonly keys: readonly Uint8Array[];
  readonly random: (bound: number) => number;
  /** Records that compaction moved; tombstones are not counted. */
  moves = 0;
  readonly #pins: Pin[][] = [];
  #seq = 0;

  constructor(options: OwnerOptions) {
    const { seed, shape, bounds } = options;
    this.random = sequence(seed);
    this.sharing = new Sharing({ stepBytes: 1, ...bounds });
    this.engine = createEngine({ hash: quickHash, shape, secret: [seed, 7], sharing: this.sharing });
    const nothing = (): void => undefined;
    const unmoved = { makeRoom: nothing, entered: nothing, replaced: nothing, left: nothing };
    this.engine.track({ ...unmoved, moved: () => this.moves++ });
    const { keys = 30 + this.random(200) } = options;
    this.keys = typeof keys === "number" ? Array.from({ length: keys }, () => this.#key()) : keys;
  }

  /** One change of any kind. */
  change(): void {
    const kind = this.random(20);
    if (kind < 9) this.commit(1 + this.random(6), this.random(3));
    else if (kind < 15) this.settle(this.random(4));
    else if (kind < 16) this.rollback();
    else if (kind < 18) this.#pin();
    else if (kind < 19) this.#release();
    else this.engine.vacuum(1 + this.random(9));
  }

  commit(entries: number, deletions: number, sizes = [0, 5, 40, 200, 700, 5000]): void {
    const version = this.plain.version + 1 + this.random(3);
    for (let i = 0; i < entries; i++) {
      const stamp = { origin: 1 + this.random(4), seq: ++this.#seq, hlc: version };
      const value = new Uint8Array(sizes[this.random(sizes.length)]).fill(version);
      const written =
        this.random(4) === 0 ? { ...stamp, value, deadline: 1 + this.random(99) } : { ...stamp, value };
      const bytes = entry(this.anyKey(), this.random(3) < deletions ? stamp : written);
      for (const engine of [this.plain, this.engine]) put(engine, version, bytes);
    }
  }

  /** Sets all keys in one settled commit. */
  fill(sizes: readonly number[]): void {
    const version = this.plain.version + 1;
    for (const key of this.keys)
      this.#putIn(version, key, new Uint8Array(sizes[this.random(sizes.length)]).fill(this.random(256)));
    this.settle();
  }

  /** Deletes nine keys of ten in one settled commit. */
  deleteMost(): void {
    const version = this.plain.version + 1;
    for (const [index, key] of this.keys.entries()) {
      if (index % 10 !== 0) this.#putIn(version, key, undefined);
    }
    this.settle();
  }

  settle(behind = 0): void {
    const version = Math.max(this.plain.settled, this.plain.version - behind);
    for (const engine of [this.plain, this.engine]) engine.settle(version);
  }

  rollback(): void {
    const version = Math.max(this.plain.settled, this.plain.version - this.random(6));
    for (const engine of [this.plain, this.engine]) engine.rollback(version);
  }

  anyKey(): Uint8Array {
    return this.keys[this.random(this.keys.length)];
  }

  anyRange(): KeyRange {
    if (this.random(2) === 0) return { from: bytesOf(), to: undefined };
    return { from: this.anyKey(), to: this.random(3) === 0 ? undefined : this.anyKey() };
  }

  /** What there is at the newest settled version, without tombstones. */
  state(): string[] {
    const { plain } = this;
    const found: string[] = [];
    const cursor = plain.scan(ALL_KEYS, plain.settled, false);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) {
      if (!isTombstone(plain.slab(ref), plain.offset(ref))) found.push(shown(plain, ref));
    }
    return found;
  }

  #putIn(version: number, key: Uint8Array, value: Uint8Array | undefined): void {
    const stamp = { origin: 1, seq: ++this.#seq, hlc: version };
    const bytes = entry(key, value === undefined ? stamp : { ...stamp, value });
    for (const engine of [this.plain, this.engine]) put(engine, version, bytes);
  }

  #pin(): void {
    if (this.#pins.length > 5) return;
    const version = Math.max(this.plain.settled, this.plain.version - this.random(4));
    this.#pins.push([this.plain.pin(version), this.engine.pin(version)]);
  }

  #release(): void {
    const [pins] = this.#pins.splice(this.random(1 + this.#pins.length), 1);
    for (const pin of pins ?? []) pin.release();
  }

  #key(): Uint8Array {
    const fill = [0, 1, 0x61, 0xff][this.random(4)];
    const tail = Array.from({ length: this.random(5) }, () => [0, 1, 0x61, 0xff][this.random(4)]);
    const length = [0, 1, 3, 4, 5, 8, 60, 300][this.random(8)];
    return bytesOf(...new Array<number>(length).fill(fill), ...tail);
  }
}

/** Numbers below a bound that depend on the seed alone. */
export function sequence(seed: number): (bound: number) => number {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
