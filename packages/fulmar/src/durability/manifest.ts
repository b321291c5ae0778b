import { assert } from "../base/assert.js";
import { equalBytes, fromHex, isU53, readU32, readU64, toHex, writeU32, writeU64 } from "../base/bytes.js";
import type { FulmarError } from "../base/errors.js";
import { NUMBERS_MAX } from "../base/limits.js";
import type { Checksum, FileHandle } from "../base/runtime/interface.js";
import { attempt, corrupt, formatNewer, formatOlder, readFully, syncFile, writeFully } from "./files.js";

/** Two slots of this size, each the whole manifest. */
export const SLOT_BYTES = 4096;
export const MANIFEST_BYTES = 2 * SLOT_BYTES;
export const MANIFEST_FORMAT = 1;
const CRC_AT = SLOT_BYTES - 4;
const CLEAN = 1;
const HAD_PEERS = 2;
const FLAGS = CLEAN | HAD_PEERS;
const MAGIC = new TextEncoder().encode("FULMARMF");

/** A position in the log, right after a record. */
export interface LogEnd {
  readonly segment: number;
  readonly position: number;
  /** Checksum of the record that ends here. */
  readonly crc: number;
  readonly version: number;
}

/** The live checkpoint; number 0 when there is none. */
export interface CheckpointName {
  readonly number: number;
  readonly version: number;
  readonly bytes: number;
  /** Checksum of its footer, which covers everything else. */
  readonly crc: number;
}

export const NO_CHECKPOINT: CheckpointName = Object.freeze({ number: 0, version: 0, bytes: 0, crc: 0 });

export interface Manifest {
  readonly clean: boolean;
  readonly hadPeers: boolean;
  readonly storeId: string;
  readonly incarnation: string;
  /** SHA-256 of the identity of the manifest file: differs in a copied directory. */
  readonly identity: string;
  readonly firstSegment: number;
  readonly checkpoint: CheckpointName;
  /** Up to here the log was on stable storage when this was written; the log's very end if `clean`. */
  readonly synced: LogEnd;
  /** Numbers at or below these have been given out. */
  readonly version: number;
  readonly seq: number;
  readonly hlc: number;
}

export function encodeSlot(checksum: Checksum, manifest: Manifest, generation: number): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  bytes.set(MAGIC);
  writeU32(bytes, 8, MANIFEST_FORMAT);
  writeU32(bytes, 12, (manifest.clean ? CLEAN : 0) | (manifest.hadPeers ? HAD_PEERS : 0));
  writeU64(bytes, 16, generation);
  bytes.set(fromHex(manifest.storeId) ?? [], 24);
  bytes.set(fromHex(manifest.incarnation) ?? [], 40);
  bytes.set(fromHex(manifest.identity) ?? [], 56);
  writeU64(bytes, 88, manifest.firstSegment);
  writeU64(bytes, 96, manifest.checkpoint.number);
  writeU64(bytes, 104, manifest.checkpoint.version);
  writeU64(bytes, 112, manifest.checkpoint.bytes);
  writeU32(bytes, 120, manifest.checkpoint.crc);
  writeU32(bytes, 124, manifest.synced.crc);
  writeU64(bytes, 128, manifest.synced.segment);
  writeU64(bytes, 136, manifest.synced.position);
  writeU64(bytes, 144, manifest.synced.version);
  writeU64(bytes, 152, manifest.version);
  writeU64(bytes, 160, manifest.seq);
  writeU64(bytes, 168, manifest.hlc);
  writeU32(bytes, CRC_AT, checksum.crc32(bytes, 0, CRC_AT, 0));
  return bytes;
}

const U64_FIELDS = [16, 88, 96, 104, 112, 128, 136, 144, 152, 160, 168];

/**
 * One slot: its manifest and generation, the number of a format that is another one or has newer flags, or
 * undefined when damaged.
 */
export function decodeSlot(
  checksum: Checksum,
  bytes: Uint8Array,
): { manifest: Manifest; generation: number } | number | undefined {
  if (bytes.length < SLOT_BYTES || !equalBytes(bytes.subarray(0, 8), MAGIC)) return undefined;
  if (readU32(bytes, CRC_AT) !== checksum.crc32(bytes, 0, CRC_AT, 0)) return undefined;
  const format = readU32(bytes, 8);
  if (format !== MANIFEST_FORMAT) return format;
  if (!U64_FIELDS.every((at) => isU53(bytes, at))) return undefined;
  const flags = readU32(bytes, 12);
  if ((flags & ~FLAGS) !== 0) return format;
  const manifest: Manifest = {
    clean: (flags & CLEAN) !== 0,
    hadPeers: (flags & HAD_PEERS) !== 0,
    storeId: toHex(bytes.subarray(24, 40)),
    incarnation: toHex(bytes.subarray(40, 56)),
    identity: toHex(bytes.subarray(56, 88)),
    firstSegment: readU64(bytes, 88),
    checkpoint: {
      number: readU64(bytes, 96),
      version: readU64(bytes, 104),
      bytes: readU64(bytes, 112),
      crc: readU32(bytes, 120),
    },
    synced: {
      crc: readU32(bytes, 124),
      segment: readU64(bytes, 128),
      position: readU64(bytes, 136),
      version: readU64(bytes, 144),
    },
    version: readU64(bytes, 152),
    seq: readU64(bytes, 160),
    hlc: readU64(bytes, 168),
  };
  const generation = readU64(bytes, 16);
  // None could follow it.
  return generation > NUMBERS_MAX ? undefined : { manifest, generation };
}

export interface ManifestReading {
  readonly manifest: Manifest;
  readonly generation: number;
  /** Slot 0 or 1 that is damaged, if one is. */
  readonly damagedSlot: number | undefined;
  /** The slot whose contents are not the newest, or damaged: the one to write first. */
  readonly staleSlot: number;
}

/**
 * Reads both slots. Every change is written to both, one after the other, so that whichever slot is
 * readable is the truth: a slot torn by a crash was not yet relied on, and a slot damaged later has a twin.
 */
export async function readManifest(checksum: Checksum, handle: FileHandle): Promise<ManifestReading> {
  const slots = await readSlots(checksum, handle);
  for (const slot of slots) if (typeof slot === "number") throw otherFormat(handle.path, slot);
  const [first, second] = slots as ({ manifest: Manifest; generation: number } | undefined)[];
  if (first === undefined && second === undefined) {
    throw corrupt(handle.path, 0, "neither of the two slots is readable");
  }
  const newest =
    first !== undefined && (second === undefined || first.generation > second.generation) ? 0 : 1;
  const chosen = newest === 0 ? first : second;
  assert(chosen !== undefined, "the newest slot is readable");
  const damagedSlot = first === undefined ? 0 : second === undefined ? 1 : undefined;
  return { ...chosen, damagedSlot, staleSlot: 1 - newest };
}

async function readSlots(checksum: Checksum, handle: FileHandle): Promise<ReturnType<typeof decodeSlot>[]> {
  const bytes = new Uint8Array(MANIFEST_BYTES);
  const length = await readFully(handle, bytes, 0);
  return [0, 1].map((slot) =>
    decodeSlot(checksum, bytes.subarray(slot * SLOT_BYTES, Math.min(length, (slot + 1) * SLOT_BYTES))),
  );
}

/** The format that a manifest has, whichever it is; undefined when neither slot is readable. */
export async function readManifestFormat(
  checksum: Checksum,
  handle: FileHandle,
): Promise<number | undefined> {
  const formats = (await readSlots(checksum, handle)).map((slot) =>
    typeof slot === "object" ? MANIFEST_FORMAT : slot,
  );
  const known = formats.filter((format) => format !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function otherFormat(path: string, format: number): FulmarError {
  return format >= MANIFEST_FORMAT ? formatNewer(path, format) : formatOlder(path, format);
}

/** The manifest of an open directory. */
export class ManifestFile {
  readonly #checksum: Checksum;
  readonly #handle: FileHandle;
  #manifest: Manifest;
  #generation: number;
  #nextSlot: number;
  #queue: Promise<void> = Promise.resolve();

  constructor(checksum: Checksum, handle: FileHandle, reading: ManifestReading) {
    this.#checksum = checksum;
    this.#handle = handle;
    this.#manifest = reading.manifest;
    this.#generation = reading.generation;
    this.#nextSlot = reading.staleSlot;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /**
   * Changes the manifest durably. When it rejects either state may be found after a crash: files that
   * either of them names must stay until a later change succeeds, and that one begins with the same slot.
   */
  update(change: (now: Manifest) => Manifest): Promise<void> {
    const done = this.#queue.then(() => this.#write(change(this.#manifest)));
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /** Does something with the file while it is not being changed. */
  undisturbed<T>(work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const done = this.#queue.then(() => work(this.#handle));
    this.#queue = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  async close(): Promise<void> {
    await this.#queue;
    await attempt("close", this.#handle.path, this.#handle.close());
  }

  async #write(next: Manifest): Promise<void> {
    for (let slots = 0; slots < 2; slots++) {
      const bytes = encodeSlot(this.#checksum, next, ++this.#generation);
      await writeFully(this.#handle, bytes, this.#nextSlot * SLOT_BYTES);
      await syncFile(this.#handle);
      this.#nextSlot = 1 - this.#nextSlot;
    }
    this.#manifest = next;
  }
}
