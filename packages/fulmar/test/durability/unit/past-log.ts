import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { GroupBuffer } from "../../../src/durability/group-buffer.js";
import type { PastSegment } from "../../../src/durability/history.js";
import { type Layout, layoutOf, segmentName } from "../../../src/durability/layout.js";
import { SEGMENT_HEADER_BYTES, writeSegmentHeader } from "../../../src/durability/segment-format.js";
import {
  COMMIT_HEADER_BYTES,
  type CoverageChange,
  coverageBytes,
  writeCommitHead,
} from "../../../src/record/commit.js";
import { entryBytes, writeEntry } from "../../../src/record/entry.js";
import { OriginTable } from "../../../src/record/origins.js";

export const STORE_ID = "5".repeat(32);
export const WRITER = "6".repeat(32);
export const FOREIGN = "7".repeat(32);
/** Number of the foreign origin in the log. */
export const FOREIGN_NUMBER = 2;

export interface PastEntry {
  readonly key: string;
  readonly origin?: number;
  readonly flags?: number;
  readonly valueBytes?: number;
}

export interface Commit {
  readonly version: number;
  readonly entries: readonly PastEntry[];
  readonly changes?: readonly CoverageChange[];
}

const encoder = new TextEncoder();

/** Segments of a log, written one after the other. */
export class PastLog {
  readonly runtime: Runtime;
  readonly layout: Layout;
  readonly segments: PastSegment[] = [];
  readonly #group: GroupBuffer;
  #previous = { number: 0, end: 0 };

  /** `base`: the version before the first commit. */
  constructor(runtime: Runtime, base: number) {
    this.runtime = runtime;
    this.layout = layoutOf(runtime.fileSystem, "/store");
    const origins = new OriginTable();
    origins.intern(WRITER);
    origins.intern(FOREIGN);
    this.#group = new GroupBuffer(nodeChecksum, origins, 1, base);
  }

  /** Adds a segment that continues the one before; returns where its records end, each. */
  async segment(number: number, commits: readonly Commit[]): Promise<number[]> {
    const salt = new Uint8Array(8).fill(100 + number);
    const header = { number, flags: 0, salt };
    const base = this.#group.version;
    this.#group.open(salt, 0, this.#previous.number, this.#previous.end);
    const ends: number[] = [];
    for (const commit of commits) {
      this.#put(salt, commit);
      ends.push(SEGMENT_HEADER_BYTES + this.#group.filled);
    }
    const end = SEGMENT_HEADER_BYTES + this.#group.filled;
    const bytes = new Uint8Array(end + 10);
    const ids = [0x55, 0x66].map((byte) => new Uint8Array(16).fill(byte));
    bytes.set(writeSegmentHeader(nodeChecksum, header, ids[0], ids[1]));
    bytes.set(this.#group.content, SEGMENT_HEADER_BYTES);
    this.#group.clear();
    const path = this.runtime.fileSystem.join(this.layout.log, segmentName(number));
    const handle = await this.runtime.fileSystem.open(path, "create");
    await handle.write(bytes, 0);
    await handle.close();
    this.segments.push({ number, path, base, end, sizeBytes: bytes.length, keyId: undefined });
    this.#previous = { number, end };
    return ends;
  }

  /** Changes one byte of a file. */
  async flip(segment: PastSegment, at: number): Promise<void> {
    const handle = await this.runtime.fileSystem.open(segment.path, "update");
    const byte = new Uint8Array(1);
    await handle.read(byte, at);
    byte[0] ^= 1;
    await handle.write(byte, at);
    await handle.close();
  }

  #put(salt: Uint8Array, { version, entries, changes = [] }: Commit): void {
    const lengths = entries.map(({ key, valueBytes = 1, flags = 0 }) =>
      entryBytes(key.length, valueBytes, flags),
    );
    const length = COMMIT_HEADER_BYTES + coverageBytes(changes) + lengths.reduce((sum, one) => sum + one, 0);
    const place = this.#group.begin(salt, version, 0, length);
    let at = writeCommitHead(place.bytes, place.at, entries.length, changes);
    for (const [i, { key, origin = 1, flags = 0, valueBytes = 1 }] of entries.entries()) {
      const value = new Uint8Array(valueBytes).fill(version & 255);
      const numbers = { origin, hlc: 1, seq: version, deadline: 0, valueChecksum: 0 };
      writeEntry(place.bytes, at, { key: encoder.encode(key), value, flags, ...numbers });
      at += lengths[i];
    }
    this.#group.end();
  }
}
