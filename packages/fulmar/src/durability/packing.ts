import { readU32, writeU32 } from "../base/bytes.js";
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from "../base/limits.js";
import type { Runtime } from "../base/runtime/interface.js";

/** u32 length of what was packed, u32 crc of it; then what it was deflated to. */
export const PACKED_HEAD_BYTES = 8;
/** Longest payload of a block: its last entry begins below 64 KiB, and is as long as an entry can be. */
export const PAYLOAD_BYTES_MAX = 128 * 1024 + KEY_BYTES_MAX + VALUE_BYTES_MAX;
/** DEFLATE makes no more than so many bytes of one: 258 of two bits. */
const RATIO_MAX = 1032;

/**
 * Packs a payload; undefined when that does not make it shorter. The checksum is of the payload itself: what
 * a block stores is covered by the block's, but only this one tells that it becomes again what it was.
 */
export async function pack(runtime: Runtime, payload: Uint8Array): Promise<Uint8Array | undefined> {
  const deflated = await runtime.compression.deflate(payload);
  if (PACKED_HEAD_BYTES + deflated.length >= payload.length) return undefined;
  const packed = new Uint8Array(PACKED_HEAD_BYTES + deflated.length);
  writeU32(packed, 0, payload.length);
  writeU32(packed, 4, runtime.checksum.crc32(payload, 0, payload.length, 0));
  packed.set(deflated, PACKED_HEAD_BYTES);
  return packed;
}

/**
 * How long a payload claims to be that is packed; 0 if it cannot be. A few bytes may claim no more than they can
 * become: whoever forges them cannot make us take the memory.
 */
export function claimedBytes(packed: Uint8Array): number {
  if (packed.length <= PACKED_HEAD_BYTES) return 0;
  const claimed = readU32(packed, 0);
  const most = Math.min(PAYLOAD_BYTES_MAX, RATIO_MAX * (packed.length - PACKED_HEAD_BYTES));
  return claimed > packed.length && claimed <= most ? claimed : 0;
}

/** The payload that was packed; undefined if `packed` is not what {@link pack} makes. */
export async function unpack(
  runtime: Pick<Runtime, "checksum" | "compression">,
  packed: Uint8Array,
): Promise<Uint8Array | undefined> {
  const length = claimedBytes(packed);
  if (length === 0) return undefined;
  const payload = await runtime.compression.inflate(packed.subarray(PACKED_HEAD_BYTES), length);
  const crc = readU32(packed, 4);
  return payload !== undefined && crc === runtime.checksum.crc32(payload, 0, length, 0) ? payload : undefined;
}
