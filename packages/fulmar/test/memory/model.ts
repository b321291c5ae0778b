import { compareBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import { inRange, type KeyRange } from "../../src/keys/range.js";
import { DIGEST_WORDS } from "../../src/memory/digest.js";
import type { EntryHash } from "../../src/memory/engine.js";
import { deadlineOf, isTombstone, keyOf, originOf, seqOf } from "../../src/record/entry.js";

/** One entry as the model knows it; its identity as an object stands for the record. */
export interface ModelEntry {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
  readonly version: number;
}

type State = Map<string, ModelEntry>;

/** Entries never change, and each is shown after every step. */
const shownBefore = new WeakMap<ModelEntry, string>();

export function shownEntry(entry: ModelEntry): string {
  let text = shownBefore.get(entry);
  if (text === undefined) {
    text = `${entry.version} ${toHex(entry.bytes)}`;
    shownBefore.set(entry, text);
  }
  return text;
}

/** The engine's contract, told in the dumbest way: a whole map for every version. */
export class EngineModel {
  version = 0;
  settled = 0;
  keepTombstones = false;
  /** Pinned versions, one item for each pin. */
  readonly #ownPins: number[] = [];
  /** Those of them that are of readers on other threads, to whom a tombstone is nothing. */
  readonly #readerPins: number[] = [];
  #states: { version: number; state: State }[] = [{ version: 0, state: new Map() }];

  put(version: number, bytes: Uint8Array): void {
    if (version > this.version) this.#states.push({ version, state: new Map(this.#at(this.version)) });
    this.version = version;
    const key = keyOf(bytes, 0);
    this.#at(version).set(toHex(key), { key, bytes, version });
  }

  settle(version: number): void {
    this.settled = Math.max(this.settled, version);
    this.version = Math.max(this.version, version);
    this.#dropTombstones();
  }

  rollback(version: number): void {
    this.#states = this.#states.filter((item) => item.version <= version);
    this.version = Math.min(this.version, version);
    for (const pins of [this.#ownPins, this.#readerPins])
      for (const pin of pins.filter((pinned) => pinned > version)) pins.splice(pins.indexOf(pin), 1);
    this.#dropTombstones();
  }

  pin(version: number, isReaders = false): void {
    (isReaders ? this.#readerPins : this.#ownPins).push(version);
  }

  unpin(version: number, isReaders = false): void {
    const pins = isReaders ? this.#readerPins : this.#ownPins;
    pins.splice(pins.indexOf(version), 1);
    this.#dropTombstones();
  }

  /** Every version that may be read, without those that show the same as the one before. */
  readable(): number[] {
    const applied = this.#states.map(({ version }) => version).filter((version) => version > this.settled);
    return [...new Set([...this.#ownPins, ...this.#readerPins, this.settled, ...applied, this.version])];
  }

  get(key: Uint8Array, at: number): ModelEntry | undefined {
    return this.#at(at).get(toHex(key));
  }

  list(range: KeyRange, at: number): ModelEntry[] {
    return [...this.#at(at).values()]
      .filter(({ key }) => inRange(key, range))
      .sort((a, b) => compareBytes(a.key, b.key));
  }

  /** The same without tombstones. */
  living(range: KeyRange, at: number): ModelEntry[] {
    return this.list(range, at).filter(({ bytes }) => !isTombstone(bytes, 0));
  }

  byOrigin(origin: number, afterSeq: number, throughSeq: number, at: number): ModelEntry[] {
    return [...this.#at(at).values()].filter(({ bytes }) => {
      const seq = seqOf(bytes, 0);
      return originOf(bytes, 0) === origin && seq > afterSeq && seq <= throughSeq;
    });
  }

  /** Deadlines of newest entries that are no tombstones, ascending, with the entries. */
  deadlines(): { deadline: number; entry: ModelEntry }[] {
    return [...this.#at(this.version).values()]
      .filter(({ bytes }) => !isTombstone(bytes, 0))
      .map((entry) => ({ deadline: deadlineOf(entry.bytes, 0), entry }))
      .filter(({ deadline }) => deadline !== Number.POSITIVE_INFINITY)
      .sort((a, b) => a.deadline - b.deadline);
  }

  /** Count and sum of hashes, with big integers. */
  digest(range: KeyRange, at: number, hash: EntryHash): { count: number; sum: bigint } {
    const words = new Uint32Array(DIGEST_WORDS);
    const entries = this.list(range, at);
    let sum = 0n;
    for (const { bytes } of entries) {
      hash(bytes, 0, words);
      sum += wordsToBigint(words);
    }
    return { count: entries.length, sum: BigInt.asUintN(128, sum) };
  }

  /** What must be in memory, no more and no less. */
  usage(): { entries: number; tombstones: number; oldVersions: number; recordBytes: number } {
    const newest = [...this.#at(this.version).values()];
    const kept = new Set(this.readable().flatMap((version) => [...this.#at(version).values()]));
    const tombstones = newest.filter(({ bytes }) => isTombstone(bytes, 0)).length;
    return {
      entries: newest.length - tombstones,
      tombstones,
      oldVersions: kept.size - newest.length,
      recordBytes: [...kept].reduce((sum, { bytes }) => sum + bytes.length, 0),
    };
  }

  /** A settled tombstone goes when no pin sees it but those of readers, and nobody can see anything that it hides. */
  #dropTombstones(): void {
    if (this.keepTombstones) return;
    const readable = this.readable();
    for (const [name, entry] of [...this.#at(this.version)]) {
      const isFinal = isTombstone(entry.bytes, 0) && entry.version <= this.settled;
      if (!isFinal || this.#ownPins.some((pin) => pin >= entry.version)) continue;
      const hides = readable.some((version) => {
        const other = this.#at(version).get(name);
        return (
          other !== undefined && !(other.version === entry.version && equalBytes(other.bytes, entry.bytes))
        );
      });
      if (hides) continue;
      for (const { state } of this.#states) if (state.get(name) === entry) state.delete(name);
    }
  }

  #at(version: number): State {
    const item = this.#states.findLast((state) => state.version <= version);
    if (item === undefined) throw new Error(`no state at ${version}`);
    return item.state;
  }
}

export function wordsToBigint(words: Uint32Array): bigint {
  return words.reduceRight((sum, word) => (sum << 32n) + BigInt(word), 0n);
}
