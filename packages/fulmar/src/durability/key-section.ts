import { readU32, writeU32 } from "../base/bytes.js";
import type { Checksum } from "../base/runtime/interface.js";

/**
 * What stands behind the header of a sealed file: by which key it was sealed, and how to notice another one.
 *
 * ```text
 *   0  16 bytes salt, random             32  u32 keyIdLength
 *  16  16 bytes check of the key         36  64 bytes key id, UTF-8, then zeros
 *                                       100  u32 crc of all before
 * ```
 *
 * Its checksum stands for itself, so that a damaged header costs a repair nothing.
 */
export const KEY_SECTION_BYTES = 104;
export const KEY_SALT_BYTES = 16;
export const KEY_CHECK_BYTES = 16;
/** Longest id of a key, in UTF-8 bytes. */
export const KEY_ID_BYTES_MAX = 64;
const CRC_AT = KEY_SECTION_BYTES - 4;
const ID_AT = 36;

export interface KeySection {
  readonly salt: Uint8Array;
  /** Derived from key and salt. */
  readonly check: Uint8Array;
  readonly keyId: string;
}

export function writeKeySection(checksum: Checksum, section: KeySection): Uint8Array {
  const bytes = new Uint8Array(KEY_SECTION_BYTES);
  const id = new TextEncoder().encode(section.keyId);
  bytes.set(section.salt, 0);
  bytes.set(section.check, KEY_SALT_BYTES);
  writeU32(bytes, 32, id.length);
  bytes.set(id, ID_AT);
  writeU32(bytes, CRC_AT, checksum.crc32(bytes, 0, CRC_AT, 0));
  return bytes;
}

/** Undefined when it is damaged. */
export function readKeySection(checksum: Checksum, bytes: Uint8Array): KeySection | undefined {
  if (bytes.length < KEY_SECTION_BYTES) return undefined;
  if (readU32(bytes, CRC_AT) !== checksum.crc32(bytes, 0, CRC_AT, 0)) return undefined;
  const length = readU32(bytes, 32);
  if (length === 0 || length > KEY_ID_BYTES_MAX) return undefined;
  try {
    const keyId = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      bytes.subarray(ID_AT, ID_AT + length),
    );
    return { salt: bytes.slice(0, KEY_SALT_BYTES), check: bytes.slice(KEY_SALT_BYTES, 32), keyId };
  } catch {
    return undefined;
  }
}
