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

/** Files by their paths below the root of a store. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** Brings a checksum up to date: over `[from, to)`, seeded with the one at `seedAt`, into each of `into`. */
interface Sum {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  readonly seedAt?: number;
  readonly into: readonly { readonly file: string; readonly at: number }[];
}

const ENTRY_FIELDS: readonly (readonly [string, number, number])[] = [
  ["keyLength", 0, 2],
  ["flags", 2, 1],
  ["origin", 3, 3],
  ["valueLength", 6, 4],
  ["valueChecksum", 10, 4],
  ["hlc", 14, 7],
  ["seq", 21, 7],
];

/**
 * Finds every number in the files of a plain, uncompressed store that was closed, and changes one of them with all
 * checksums made right again: what a fault in memory leaves, or somebody who means harm.
 */
export class Forger {
  readonly fields: Field[] = [];
  readonly #files: Files;
  readonly #sums: Sum[] = [];
  /** Checksums of the whole, kept in the manifest, come last. */
  readonly #manifestSums: Sum[] = [];

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
    for (const { file: name, from, to, seedAt, into } of [...this.#sums, ...this.#manifestSums]) {
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

  #add(
    file: string,
    base: number,
    fields: readonly (readonly [string, number, number])[],
    part: string,
  ): void {
    for (const [name, at, width] of fields)
      this.fields.push({ file, at: base + at, width, name: `${part} ${name}` });
  }

  #manifest(): void {
    const file = "MANIFEST";
    const checkpoint = ["checkpointNumber", "checkpointVersion", "checkpointBytes"];
    const synced = ["syncedSegment", "syncedPosition", "syncedVersion", "version", "seq", "hlc"];
    for (const slot of [0, SLOT_BYTES]) {
      this.#add(
        file,
        slot,
        [
          ["format", 8, 4],
          ["flags", 12, 4],
          ["generation", 16, 8],
        ],
        "manifest",
      );
      this.#add(
        file,
        slot,
        ["firstSegment", ...checkpoint].map((name, i) => [name, 88 + 8 * i, 8]),
        "manifest",
      );
      this.#add(
        file,
        slot,
        [
          ["checkpointCrc", 120, 4],
          ["syncedCrc", 124, 4],
        ],
        "manifest",
      );
      this.#add(
        file,
        slot,
        synced.map((name, i) => [name, 128 + 8 * i, 8]),
        "manifest",
      );
      const end = slot + SLOT_BYTES - 4;
      this.#manifestSums.push({ file, from: slot, to: end, into: [{ file, at: end }] });
    }
  }

  #segment(file: string, next: string | undefined): void {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(
      file,
      0,
      [
        ["format", 8, 4],
        ["flags", 12, 4],
        ["number", 16, 8],
      ],
      "segment",
    );
    const end = SEGMENT_HEADER_BYTES - 4;
    this.#sums.push({ file, from: 0, to: end, into: [{ file, at: end }] });
    let at = SEGMENT_HEADER_BYTES;
    while (readU32(bytes, at + 4) !== 0 && at + RECORD_HEAD_BYTES < bytes.length) {
      const length = readU32(bytes, at);
      const part = at === SEGMENT_HEADER_BYTES ? "opening" : "record";
      this.#add(
        file,
        at,
        [
          ["payloadLength", 0, 4],
          ["kind", 4, 4],
          ["version", 16, 8],
          ["syncedThrough", 24, 8],
        ],
        part,
      );
      this.#add(file, at, [["predecessorCrc", 32, 4]], part);
      if (part === "opening") {
        this.#add(
          file,
          at + RECORD_HEAD_BYTES,
          [
            ["previousSegment", 0, 8],
            ["previousEnd", 8, 8],
          ],
          part,
        );
      } else this.#commit(file, at + RECORD_HEAD_BYTES);
      this.#sums.push({ file, from: at, to: at + 36, into: [{ file, at: at + 36 }] });
      const tail = at + RECORD_HEAD_BYTES + length;
      const following = tail + RECORD_TAIL_BYTES;
      const isLast = readU32(bytes, following + 4) === 0;
      const link = isLast
        ? next === undefined
          ? [
              { file: "MANIFEST", at: 124 },
              { file: "MANIFEST", at: SLOT_BYTES + 124 },
            ]
          : [{ file: next, at: SEGMENT_HEADER_BYTES + 32 }]
        : [{ file, at: following + 32 }];
      this.#sums.push({
        file,
        from: at + RECORD_HEAD_BYTES,
        to: tail,
        seedAt: at + 36,
        into: [{ file, at: tail }, ...link],
      });
      at = following;
    }
  }

  #commit(file: string, payload: number): void {
    const bytes = this.#files.get(file) as Uint8Array;
    const definitions = readU32(bytes, payload);
    this.#add(file, payload, [["definitionCount", 0, 4]], "commit");
    for (let i = 0; i < definitions; i++) {
      this.#add(file, payload + 4 + i * DEFINITION_BYTES, [["definedOrigin", 0, 4]], "commit");
    }
    const commit = payload + 4 + definitions * DEFINITION_BYTES;
    this.#add(
      file,
      commit,
      [
        ["entryCount", 0, 4],
        ["coverageCount", 4, 4],
      ],
      "commit",
    );
    let at = commit + 8;
    for (let count = readU32(bytes, commit); count > 0; count--) at = this.#entry(file, at, "commit's entry");
  }

  #entry(file: string, at: number, part: string): number {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(file, at, ENTRY_FIELDS, part);
    if ((bytes[at + 2] & HAS_DEADLINE) !== 0) this.#add(file, at, [["deadline", 28, 7]], part);
    return at + entryLength(bytes, at);
  }

  #checkpoint(file: string): void {
    const bytes = this.#files.get(file) as Uint8Array;
    this.#add(
      file,
      0,
      [
        ["format", 8, 4],
        ["flags", 12, 4],
        ["number", 16, 8],
      ],
      "checkpoint",
    );
    this.#add(
      file,
      64,
      [
        ["version", 0, 8],
        ["seq", 8, 8],
        ["hlc", 16, 8],
      ],
      "checkpoint",
    );
    this.#add(
      file,
      88,
      [
        ["originCount", 0, 4],
        ["coverageCount", 4, 4],
        ["dictionaryBytes", 8, 8],
      ],
      "checkpoint",
    );
    const headerSum = CHECKPOINT_HEADER_BYTES - 4;
    this.#sums.push({ file, from: 0, to: headerSum, into: [{ file, at: headerSum }] });
    const dictionaryEnd = CHECKPOINT_HEADER_BYTES + readU64(bytes, 96);
    let at = CHECKPOINT_HEADER_BYTES + 16 * readU32(bytes, 88);
    for (let count = readU32(bytes, 92); count > 0; count--) {
      this.#add(
        file,
        at,
        [
          ["origin", 0, 4],
          ["holeCount", 4, 4],
          ["upTo", 8, 8],
        ],
        "coverage",
      );
      at += 16 + 16 * readU32(bytes, at + 4);
    }
    const into = [{ file, at: dictionaryEnd }];
    this.#sums.push({ file, from: CHECKPOINT_HEADER_BYTES, to: dictionaryEnd, seedAt: headerSum, into });
    const footer = bytes.length - FOOTER_BYTES;
    const tails: number[] = [];
    at = dictionaryEnd + 4;
    while (at < footer) {
      const tail = at + BLOCK_HEAD_BYTES + readU32(bytes, at);
      this.#add(
        file,
        at,
        [
          ["payloadLength", 0, 4],
          ["entryCount", 4, 4],
          ["index", 8, 4],
        ],
        "block",
      );
      for (let item = at + BLOCK_HEAD_BYTES; item < tail; ) {
        this.#add(file, item, [["version", 0, 8]], "checkpoint's entry");
        item = this.#entry(file, item + 8, "checkpoint's entry");
      }
      // The sum of a head is seeded with the header's, which is not at a fixed distance from it.
      this.#sums.push({ file, from: at, to: at + 12, seedAt: headerSum, into: [{ file, at: at + 12 }] });
      this.#sums.push({
        file,
        from: at + BLOCK_HEAD_BYTES,
        to: tail,
        seedAt: at + 12,
        into: [{ file, at: tail }],
      });
      tails.push(tail);
      at = tail + BLOCK_TAIL_BYTES;
    }
    this.#footer(file, footer, tails, headerSum);
  }

  #footer(file: string, footer: number, tails: readonly number[], headerSum: number): void {
    this.#add(
      file,
      footer,
      [
        ["blockCount", 8, 8],
        ["entryCount", 16, 8],
        ["fileBytes", 24, 8],
      ],
      "footer",
    );
    let seedAt: number | undefined;
    for (const tail of tails) {
      const seed = seedAt === undefined ? {} : { seedAt };
      this.#sums.push({ file, from: tail, to: tail + 4, ...seed, into: [{ file, at: footer + 32 }] });
      seedAt = footer + 32;
    }
    const sumAt = footer + 36;
    this.#sums.push({ file, from: footer, to: sumAt, seedAt: headerSum, into: [{ file, at: sumAt }] });
    const into = [0, SLOT_BYTES].map((slot) => ({ file: "MANIFEST", at: slot + 120 }));
    this.#manifestSums.unshift({ file, from: footer, to: footer + FOOTER_BYTES, into });
  }
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
