import { writeU64 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  addBlockCrc,
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  closeBlock,
  FOOTER_BYTES,
  type Footer,
  writeCheckpointHead,
  writeFooter,
} from "../../../src/durability/checkpoint-format.js";
import type { CheckpointName } from "../../../src/durability/manifest.js";
import type { CoverageChange } from "../../../src/record/commit.js";
import { entryBytes, TOMBSTONE, writeEntry } from "../../../src/record/entry.js";

export const STATE = {
  number: 4,
  hadPeers: true,
  isBackup: false,
  compressed: false,
  salt: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  storeId: "a1".repeat(16),
  incarnation: "b2".repeat(16),
  version: 50,
  seq: 7,
  hlc: 1000,
};

export const IDS = [STATE.incarnation, "c3".repeat(16)];
const ID_BYTES = [0xb2, 0xc3].map((byte) => new Uint8Array(16).fill(byte));

export interface Item {
  readonly key: string;
  /** Undefined for a deletion. */
  readonly value?: string | undefined;
  readonly version?: number;
  readonly origin?: number;
  readonly hlc?: number;
}

const encoder = new TextEncoder();

/** An entry as commits and checkpoints hold it. */
export function entryOf({ key, value, origin = 1, hlc = 10 }: Item): Uint8Array {
  const [keyBytes, valueBytes] = [encoder.encode(key), encoder.encode(value ?? "")];
  const flags = value === undefined ? TOMBSTONE : 0;
  const bytes = new Uint8Array(entryBytes(keyBytes.length, valueBytes.length, flags));
  const valueChecksum = crc32(valueBytes, 0, valueBytes.length, 0);
  const numbers = { origin, hlc, seq: 1, deadline: 0, valueChecksum };
  writeEntry(bytes, 0, { key: keyBytes, value: valueBytes, flags, ...numbers });
  return bytes;
}

/** The payload of a block that holds these items. */
export function payloadOf(items: readonly Item[]): Uint8Array {
  const parts = items.map((item) => {
    const entry = entryOf(item);
    const bytes = new Uint8Array(8 + entry.length);
    writeU64(bytes, 0, item.version ?? 20);
    bytes.set(entry, 8);
    return bytes;
  });
  return joined(parts);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let next = 0;
  for (const part of parts) {
    bytes.set(part, next);
    next += part.length;
  }
  return bytes;
}

export interface Block {
  readonly payload: Uint8Array;
  readonly entryCount: number;
  /** What its head says instead of its place. */
  readonly index?: number;
  /** Whether its payload is one that was packed. */
  readonly packed?: boolean;
}

export const blockOf = (...items: readonly Item[]): Block => ({
  payload: payloadOf(items),
  entryCount: items.length,
});

export interface Shape {
  readonly state?: Partial<typeof STATE>;
  readonly coverage?: readonly CoverageChange[];
  /** What the footer says instead of the truth. */
  readonly footer?: Partial<Footer>;
  readonly footerSeed?: number;
  /** Bytes between the last block and the footer, which counts them. */
  readonly between?: number;
}

export interface Checkpoint {
  readonly bytes: Uint8Array;
  readonly name: CheckpointName;
  /** Where each block begins, and where the footer does. */
  readonly starts: readonly number[];
}

/** A checkpoint file whose checksums are all right, whatever it says. */
export function checkpointOf(blocks: readonly Block[], shape: Shape = {}): Checkpoint {
  const state = { ...STATE, ...shape.state };
  const head = writeCheckpointHead(nodeChecksum, state, ID_BYTES, shape.coverage ?? []);
  const parts = [head.bytes];
  const starts = [head.bytes.length];
  const scratch = new Uint8Array(4);
  let [blocksCrc, entryCount] = [0, 0];
  for (const [i, { payload, entryCount: count, index = i, packed = false }] of blocks.entries()) {
    const bytes = new Uint8Array(BLOCK_HEAD_BYTES + payload.length + BLOCK_TAIL_BYTES);
    bytes.set(payload, BLOCK_HEAD_BYTES);
    const block = { payloadLength: payload.length, entryCount: count, index, packed };
    const crc = closeBlock(nodeChecksum, bytes, 0, block, head.crc);
    blocksCrc = addBlockCrc(nodeChecksum, scratch, blocksCrc, crc);
    entryCount += count;
    parts.push(bytes);
    starts.push(starts[i] + bytes.length);
  }
  parts.push(new Uint8Array(shape.between ?? 0));
  const fileBytes = starts[blocks.length] + (shape.between ?? 0) + FOOTER_BYTES;
  const counts = { blockCount: blocks.length, entryCount, fileBytes, blocksCrc, ...shape.footer };
  const footer = writeFooter(nodeChecksum, counts, shape.footerSeed ?? head.crc);
  parts.push(footer);
  const crc = nodeChecksum.crc32(footer, 0, FOOTER_BYTES, 0);
  const bytes = joined(parts);
  const { number, version } = state;
  return { bytes, starts, name: { number, version, bytes: bytes.length, crc } };
}
