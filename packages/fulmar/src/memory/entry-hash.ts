import { readU32, writeU32, writeU64 } from "../base/bytes.js";
import type { Cryptography } from "../base/runtime/interface.js";
import { hlcOf, keyLengthOf, keyStart, originOf, seqOf, valueChecksumOf } from "../record/entry.js";
import { ORIGIN_ID_BYTES, type OriginTable } from "../record/origins.js";
import { DIGEST_WORDS } from "./digest.js";
import type { EntryHash } from "./engine.js";

/** Bytes hashed beside the key: its length, the writer's identity, sequence number, time, value checksum. */
const FIXED_BYTES = 4 + ORIGIN_ID_BYTES + 8 + 8 + 4;

/**
 * The hash that replicas compare their entries by: the first 16 bytes of the SHA-256 of
 *
 * ```text
 * u32 keyLength, key, 16 bytes of the origin's identity, u64 seq, u64 hlc, u32 valueChecksum
 * ```
 *
 * Neither flags nor deadline are in it, so that an entry that expired and the tombstone that the
 * sweeper left for it (same stamp and checksum) hash alike: replicas sweep at different moments.
 */
export function createEntryHash(cryptography: Cryptography, origins: OriginTable): EntryHash {
  let scratch = new Uint8Array(256);
  return (bytes, at, into) => {
    const keyLength = keyLengthOf(bytes, at);
    const length = FIXED_BYTES + keyLength;
    if (scratch.length < length) scratch = new Uint8Array(2 * length);
    writeU32(scratch, 0, keyLength);
    const start = keyStart(bytes, at);
    for (let i = 0; i < keyLength; i++) scratch[4 + i] = bytes[start + i];
    const rest = 4 + keyLength;
    scratch.set(origins.idBytes(originOf(bytes, at)), rest);
    writeU64(scratch, rest + ORIGIN_ID_BYTES, seqOf(bytes, at));
    writeU64(scratch, rest + ORIGIN_ID_BYTES + 8, hlcOf(bytes, at));
    writeU32(scratch, rest + ORIGIN_ID_BYTES + 16, valueChecksumOf(bytes, at));
    const hash = cryptography.sha256(scratch.subarray(0, length));
    for (let i = 0; i < DIGEST_WORDS; i++) into[i] = readU32(hash, 4 * i);
  };
}
