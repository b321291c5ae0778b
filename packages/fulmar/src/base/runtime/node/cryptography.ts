import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";
import { assert } from "../../assert.js";
import type { Cryptography } from "../interface.js";

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OPTIONS = Object.freeze({ authTagLength: TAG_BYTES });

/** A Buffer is a Uint8Array with another `slice` and `toString`; nothing of it shall leave this folder. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function checkSizes(key: Uint8Array, nonce: Uint8Array): void {
  assert(key.length === KEY_BYTES, "an encryption key has 32 bytes");
  assert(nonce.length === NONCE_BYTES, "a nonce has 12 bytes");
}

/** Node's own cryptography. */
export const nodeCryptography: Cryptography = Object.freeze({
  sha256(bytes: Uint8Array): Uint8Array {
    return plain(createHash("sha256").update(bytes).digest());
  },
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
    return plain(createHmac("sha256", key).update(message).digest());
  },
  deriveKey(secret: Uint8Array, salt: Uint8Array, info: string, lengthBytes: number): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", secret, salt, info, lengthBytes));
  },
  equal(a: Uint8Array, b: Uint8Array): boolean {
    // The lengths of what is compared here (digests and tags) are public.
    return a.length === b.length && timingSafeEqual(a, b);
  },
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated?: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
    sealed.set(plaintext);
    sealInPlace(key, nonce, sealed, associated);
    return sealed;
  },
  sealInPlace,
  unseal(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated?: Uint8Array,
  ): Uint8Array | undefined {
    checkSizes(key, nonce);
    if (sealed.length < TAG_BYTES) return undefined;
    const length = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, key, nonce, OPTIONS);
    decipher.setAuthTag(sealed.subarray(length));
    if (associated !== undefined) decipher.setAAD(associated);
    const opened = decipher.update(sealed.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(opened);
  },
});

function sealInPlace(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array, associated?: Uint8Array): void {
  checkSizes(key, nonce);
  assert(bytes.length >= TAG_BYTES, "there is room for the tag");
  const length = bytes.length - TAG_BYTES;
  const cipher = createCipheriv(CIPHER, key, nonce, OPTIONS);
  if (associated !== undefined) cipher.setAAD(associated);
  // GCM is a stream: `update` returns as many bytes as it takes, and `final` none.
  bytes.set(cipher.update(bytes.subarray(0, length)), 0);
  cipher.final();
  bytes.set(cipher.getAuthTag(), length);
}
