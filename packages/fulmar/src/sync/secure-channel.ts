import { concatBytes, isU53, readU32, readU64, writeU32, writeU64 } from "../base/bytes.js";
import type { Checksum, Cryptography } from "../base/runtime/interface.js";
import { CHECKSUM_BYTES, SEAL_BYTES } from "./protocol/limits.js";

const COUNTER_BYTES = 8;
const GCM_NONCE_BYTES = 12;

/** How messages become frames once the handshake is over. */
export interface Channel {
  wrap(message: Uint8Array): Uint8Array;
  /** The message; `stale`: seen before or overtaken by a later frame; `bad`: the other side did not send it so. */
  unwrap(frame: Uint8Array): Uint8Array | "stale" | "bad";
}

/** Without a secret: a checksum against accidents, none against malice. */
export class PlainChannel implements Channel {
  readonly #checksum: Checksum;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  wrap(message: Uint8Array): Uint8Array {
    const frame = new Uint8Array(message.length + CHECKSUM_BYTES);
    frame.set(message);
    writeU32(frame, message.length, this.#checksum.crc32(message, 0, message.length, 0));
    return frame;
  }

  unwrap(frame: Uint8Array): Uint8Array | "bad" {
    const end = frame.length - CHECKSUM_BYTES;
    if (end < 1 || this.#checksum.crc32(frame, 0, end, 0) !== readU32(frame, end)) return "bad";
    return frame.subarray(0, end);
  }
}

/**
 * AES-256-GCM with one key for each direction and the frame's number as nonce. The number travels along
 * and must rise: what a lossy network drops is lost, what it repeats or what an attacker replays is
 * dropped here.
 */
export class SealedChannel implements Channel {
  readonly #cryptography: Cryptography;
  readonly #sendKey: Uint8Array;
  readonly #receiveKey: Uint8Array;
  #sent = 0;
  #received = 0;

  constructor(cryptography: Cryptography, sendKey: Uint8Array, receiveKey: Uint8Array) {
    this.#cryptography = cryptography;
    this.#sendKey = sendKey;
    this.#receiveKey = receiveKey;
  }

  wrap(message: Uint8Array): Uint8Array {
    this.#sent++;
    const counter = new Uint8Array(COUNTER_BYTES);
    writeU64(counter, 0, this.#sent);
    return concatBytes(counter, this.#cryptography.seal(this.#sendKey, nonce(this.#sent), message));
  }

  unwrap(frame: Uint8Array): Uint8Array | "stale" | "bad" {
    if (frame.length <= SEAL_BYTES || !isU53(frame, 0)) return "bad";
    const counter = readU64(frame, 0);
    if (counter <= this.#received) return "stale";
    const sealed = frame.subarray(COUNTER_BYTES);
    const message = this.#cryptography.unseal(this.#receiveKey, nonce(counter), sealed);
    if (message === undefined || message.length === 0) return "bad";
    this.#received = counter;
    return message;
  }
}

function nonce(counter: number): Uint8Array {
  const bytes = new Uint8Array(GCM_NONCE_BYTES);
  writeU64(bytes, GCM_NONCE_BYTES - COUNTER_BYTES, counter);
  return bytes;
}
