import { readU32, readU64, writeU16, writeU24, writeU32, writeU56, writeU64 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import { NUMBERS_MAX } from "../../src/base/limits.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
} from "../../src/durability/checkpoint-format.js";
import { SLOT_BYTES } from "../../src/durability/manifest.js";
import {
  DEFINITION_BYTES,
  RECORD_HEAD_BYTES,
  RECORD_TAIL_BYTES,
  SEGMENT_HEADER_BYTES,
} from "../../src/durability/segment-format.js";
import { entryLength, HAS_DEADLINE } from "../../src/record/entry.js";

/** A number somewhere in the files of a plain store. */
export interface Field {
  readonly file: string;
  readonly at: number;
  /** Bytes that it takes. */
  readonly width: number;
  /** What it says, wherever it stands. */
  readonly name: string;
}

const MANIFEST = "MANIFEST";

/** Files by their paths below the root of a store. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** Brings a checksum up to date: over `[from, to)`, seeded with the one at `seedAt`, into each of `into`. */
interface Sum {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  readonly seedAt: number | undefined;
  readonly into: readonly Place[];
}

interface Place {
  readonly file: string;
  readonly at: number;
}

/** Where each number is, counted from the beginning of the part, and how many bytes it takes. */
type Part = Readonly<Record<string, readonly [number, number]>>;

/** What follows the magic in every kind of file. */
const PREAMBLE = { format: [8, 4], flags: [12, 4] } as const;
const CHECKPOINT_CRC_AT = 120;
const SYNCED_CRC_AT = 124;
const SLOT: Part = {
  ...PREAMBLE,
  generation: [16, 8],
  ...numbersFrom(88, "firstSegment", "checkpointNumber", "checkpointVersion", "checkpointBytes"),
  checkpointCrc: [CHECKPOINT_CRC_AT, 4],
  syncedCrc: [SYNCED_CRC_AT, 4],
  ...numbersFrom(128, "syncedSegment", "syncedPosition", "syncedVersion", "version", "seq", "hlc"),
};
const SEGMENT_HEADER: Part = { ...PREAMBLE, number: [16, 8] };
/** Where the head of a record has the checksum of the record before it, and its own. */
const PREDECESSOR_CRC_AT = 32;
const HEAD_CRC_AT = 36;
const RECORD_HEAD: Part = {
  payloadLength: [0, 4],
  kind: [4, 4],
  ...numbersFrom(16, "version", "syncedThrough"),
  predecessorCrc: [PREDECESSOR_CRC_AT, 4],
};
const OPENING = numbersFrom(0, "previousSegment", "previousEnd");
const CHECKPOINT_HEADER: Part = {
  ...SEGMENT_HEADER,
  ...numbersFrom(64, "version", "seq", "hlc"),
  originCount: [88, 4],
  coverageCount: [92, 4],
  dictionaryBytes: [96, 8],
};
const COVERAGE: Part = { origin: [0, 4], holeCount: [4, 4], upTo: [8, 8] };
const BLOCK_HEAD: Part = { payloadLength: [0, 4], entryCount: [4, 4], index: [8, 4] };
const FOOTER = numbersFrom(8, "blockCount", "entryCount", "fileBytes");
const ENTRY: Part = {
  keyLength: [0, 2],
  flags: [2, 1],
  origin: [3, 3],
  valueLength: [6, 4],
  valueChecksum: [10, 4],
  hlc: [14, 7],
  seq: [21, 7],
};

/** Numbers of eight bytes, one after the other. */
function numbersFrom(at: number, ...names: readonly string[]): Part {
  return Object.fromEntries(names.map((name, i) => [name, [at + 8 * i, 8] as const]));
}

/**
 * Finds every number in the files of a plain, uncompressed store that was closed, and changes one of them with all
 * checksums made right again: what a fault in memory leaves, or somebody who means harm.
 */
export class Forger {
  readonly fields: Field[] = [];
  readonly #files: Files;
  /** In an order in which each comes after those that are among its bytes, or its seed. */
  readonly #sums: Sum[] = [];

  constructor(files: Files) {
    this.#files = files;
    const names = [...files.keys()].sort();
    const segments = names.filter((name) => name.startsWith("log/"));
    for (const name of names.filter((each) => each.startsWith("checkpoint/"))) this.#checkpoint(name);
    for (const [i, name] of segments.entries()) this.#segment(name, segments[i + 1]);
    this.#manifest();
  }

  /** The files with `value` in the place of one number. */
  forged({ file, at, width }: Field, value: number): Files {
    const files = new Map([...this.#files].map(([name, bytes]) => [name, bytes.slice()]));
    const forged = files.get(file) as Uint8Array;
    writeNumber(forged, at, width, value);
    for (const { file: name, from, to, seedAt, into } of this.#sums) {
      const bytes = files.get(name) as Uint8Array;
      const sum = crc32(bytes, from, to, seedAt === undefined ? 0 : readU32(bytes, seedAt));
      for (const place of into) {
        // The one that was forged stays as it is.
        if (place.file === file && place.at === at) continue;
        writeU32(files.get(place.file) as Uint8Array, place.at, sum);
      }
    }
    return files;
  }

  valueOf({ file, at, width }: Field): number {
    const bytes = this.#files.get(file) as Uint8Array;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
    return value;
  }

  #add(file: string, base: number, label: string, part: Part): void {
    for (const [name, [at, width]] of Object.entries(part))
      this.fields.push({ file, at: base + at, width, name: `${label} ${name}` });
  }

  /** A checksum of a part of a file, which stands right behind that unless said otherwise. */
  #sum(
    file: string,
    from: number,
    to: number,
    seedAt?: number,
    into: readonly Place[] = [{ file, at: to }],
  ): void {
    this.#sums.push({ file, from, to, seedAt, into });
  }

  #manifest(): void {
    for (const slot of [0, SLOT_BYTES]) {
      this.#add(MANIFEST, slot, "manifest", SLOT);
      this.#sum(MANIFEST, slot, slot + SLOT_BYTES - 4);
    }
  }

  #segment(file: string, next: string | undefined): void {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(file, 0, "segment", SEGMENT_HEADER);
    this.#sum(file, 0, SEGMENT_HEADER_BYTES - 4);
    const isRecord = (at: number): boolean => readU32(bytes, at + 4) !== 0;
    let at = SEGMENT_HEADER_BYTES;
    while (isRecord(at) && at + RECORD_HEAD_BYTES < bytes.length) {
      const payload = at + RECORD_HEAD_BYTES;
      const tail = payload + readU32(bytes, at);
      const isOpening = at === SEGMENT_HEADER_BYTES;
      this.#add(file, at, isOpening ? "opening" : "record", RECORD_HEAD);
      if (isOpening) this.#add(file, payload, "opening", OPENING);
      else this.#commit(file, payload);
      const headCrc = at + HEAD_CRC_AT;
      this.#sum(file, at, headCrc);
      at = tail + RECORD_TAIL_BYTES;
      const links = isRecord(at) ? [{ file, at: at + PREDECESSOR_CRC_AT }] : linksBehind(next);
      this.#sum(file, payload, tail, headCrc, [{ file, at: tail }, ...links]);
    }
  }

  #commit(file: string, payload: number): void {
    const bytes = this.#files.get(file) as Uint8Array;
    const definitions = readU32(bytes, payload);
    this.#add(file, payload, "commit", { definitionCount: [0, 4] });
    for (let i = 0; i < definitions; i++) {
      this.#add(file, payload + 4 + i * DEFINITION_BYTES, "commit", { definedOrigin: [0, 4] });
    }
    const commit = payload + 4 + definitions * DEFINITION_BYTES;
    this.#add(file, commit, "commit", { entryCount: [0, 4], coverageCount: [4, 4] });
    let at = commit + 8;
    for (let count = readU32(bytes, commit); count > 0; count--) at = this.#entry(file, at, "commit's entry");
  }

  #entry(file: string, at: number, label: string): number {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(file, at, label, ENTRY);
    if ((bytes[at + 2] & HAS_DEADLINE) !== 0) this.#add(file, at, label, { deadline: [28, 7] });
    return at + entryLength(bytes, at);
  }

  #checkpoint(file: string): void {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(file, 0, "checkpoint", CHECKPOINT_HEADER);
    const headerCrc = CHECKPOINT_HEADER_BYTES - 4;
    this.#sum(file, 0, headerCrc);
    const dictionaryEnd = CHECKPOINT_HEADER_BYTES + readU64(bytes, 96);
    let at = CHECKPOINT_HEADER_BYTES + 16 * readU32(bytes, 88);
    for (let count = readU32(bytes, 92); count > 0; count--) {
      this.#add(file, at, "coverage", COVERAGE);
      at += 16 + 16 * readU32(bytes, at + 4);
    }
    this.#sum(file, CHECKPOINT_HEADER_BYTES, dictionaryEnd, headerCrc);
    const tails = this.#blocks(file, dictionaryEnd + 4, headerCrc);
    this.#footer(file, tails, headerCrc);
  }

  /** Where the checksums of the blocks stand that begin at `at`. */
  #blocks(file: string, from: number, headerCrc: number): number[] {
    const bytes = this.#files.get(file) as Uint8Array;
    const tails: number[] = [];
    for (let at = from; at < bytes.length - FOOTER_BYTES; ) {
      const payload = at + BLOCK_HEAD_BYTES;
      const tail = payload + readU32(bytes, at);
      this.#add(file, at, "block", BLOCK_HEAD);
      for (let item = payload; item < tail; ) {
        this.#add(file, item, "checkpoint's entry", { version: [0, 8] });
        item = this.#entry(file, item + 8, "checkpoint's entry");
      }
      this.#sum(file, at, at + 12, headerCrc);
      this.#sum(file, payload, tail, at + 12);
      tails.push(tail);
      at = tail + BLOCK_TAIL_BYTES;
    }
    return tails;
  }

  #footer(file: string, tails: readonly number[], headerCrc: number): void {
    const footer = (this.#files.get(file) as Uint8Array).length - FOOTER_BYTES;
    this.#add(file, footer, "footer", FOOTER);
    // One checksum over those of all blocks.
    const blocksCrc = footer + 32;
    for (const [i, tail] of tails.entries()) {
      const seedAt = i === 0 ? undefined : blocksCrc;
      this.#sum(file, tail, tail + 4, seedAt, [{ file, at: blocksCrc }]);
    }
    this.#sum(file, footer, blocksCrc + 4, headerCrc);
    this.#sum(file, footer, footer + FOOTER_BYTES, undefined, inBothSlots(CHECKPOINT_CRC_AT));
  }
}

/** Who names the checksum of the last record of a segment: the opening of the next one, or the manifest. */
function linksBehind(next: string | undefined): Place[] {
  if (next === undefined) return inBothSlots(SYNCED_CRC_AT);
  return [{ file: next, at: SEGMENT_HEADER_BYTES + PREDECESSOR_CRC_AT }];
}

function inBothSlots(at: number): Place[] {
  return [0, SLOT_BYTES].map((slot) => ({ file: MANIFEST, at: slot + at }));
}

function writeNumber(bytes: Uint8Array, at: number, width: number, value: number): void {
  if (width === 1) bytes[at] = value;
  else if (width === 2) writeU16(bytes, at, value);
  else if (width === 3) writeU24(bytes, at, value);
  else if (width === 4) writeU32(bytes, at, value);
  else if (width === 7) writeU56(bytes, at, value);
  else writeU64(bytes, at, value);
}

/** What a number of so many bytes may be forged to; only the first few have to be tried everywhere. */
export function forgeries(value: number, width: number): number[] {
  const highest = 256 ** width - 1;
  const unreached = width < 7 ? highest : NUMBERS_MAX + 1;
  const more = [1, value - 1, value + 7, value * 2 + 1, Math.floor(value / 2), 2 ** 31, highest];
  const wide = width < 7 ? [] : [2 ** 53 - 1, 2 ** 53, 2 ** 55];
  const possible = [0, value + 1, unreached, ...more, ...wide].filter(
    (each) => each >= 0 && each <= highest && each !== value,
  );
  return [...new Set(possible)];
}
