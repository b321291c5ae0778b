import { concatBytes, EMPTY_BYTES, equalBytes, writeU32 } from "../base/bytes.js";
import type { ErrorCode } from "../base/errors.js";
import type { Checksum, Cryptography } from "../base/runtime/interface.js";
import type { OriginId } from "../record/origins.js";
import { decodeMessage } from "./protocol/decode.js";
import { encodeMessage } from "./protocol/encode.js";
import { HANDSHAKE_BYTES_MAX, PROOF_BYTES, PROTOCOL_NEWEST, PROTOCOL_OLDEST } from "./protocol/limits.js";
import type { Hello } from "./protocol/messages.js";
import { type Channel, PlainChannel, SealedChannel } from "./secure-channel.js";

const UTF8 = new TextEncoder();

/** What a node says of itself, and what it knows. */
export interface HandshakeOptions {
  readonly initiator: boolean;
  readonly incarnation: OriginId;
  readonly name: string;
  readonly cluster: string;
  /** Fresh random bytes. */
  readonly nonce: Uint8Array;
  readonly secret: Uint8Array | undefined;
  readonly cryptography: Cryptography;
  readonly checksum: Checksum;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly text: string;
  /** Whether the other side said so, rather than this one finding out. */
  readonly remote: boolean;
}

/** What follows from a frame. */
export interface HandshakeStep {
  readonly send: readonly Uint8Array[];
  readonly failure?: Failure;
  /** Set once, when the peer has proven itself. */
  readonly done?: { readonly peer: Hello; readonly version: number; readonly channel: Channel };
}

const NOTHING: HandshakeStep = { send: [] };

/**
 * HELLO, HELLO, AUTH, AUTH. The side that opened the connection proves itself first, so that a stranger
 * who knocks learns nothing that depends on the secret. Frames may be lost or repeated: the initiator
 * repeats its last word, and each repetition gets the same answer.
 */
export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #hello: Uint8Array;
  #peerHello: Uint8Array | undefined;
  #peer: Hello | undefined;
  #version = 0;
  #peerAuth: Uint8Array | undefined;
  #lastSent: readonly Uint8Array[] = [];
  #receivedBytes = 0;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#hello = encodeMessage({
      type: "hello",
      versionOldest: PROTOCOL_OLDEST,
      versionNewest: PROTOCOL_NEWEST,
      sealed: options.secret !== undefined,
      initiator: options.initiator,
      incarnation: options.incarnation,
      nonce: options.nonce,
      cluster: options.cluster,
      name: options.name,
    });
  }

  /** The first frames: the initiator speaks first. */
  start(): readonly Uint8Array[] {
    if (this.#options.initiator) this.#lastSent = [this.#hello];
    return this.#lastSent;
  }

  /** The last word once more, for the initiator whose answer does not come. */
  repeat(): readonly Uint8Array[] {
    return this.#options.initiator ? this.#lastSent : [];
  }

  /** Whether a frame is a repetition of one that was answered already. */
  isRepetition(frame: Uint8Array): boolean {
    return (
      (this.#peerHello !== undefined && equalBytes(frame, this.#peerHello)) ||
      (this.#peerAuth !== undefined && equalBytes(frame, this.#peerAuth))
    );
  }

  receive(frame: Uint8Array): HandshakeStep {
    this.#receivedBytes += frame.length;
    if (this.#receivedBytes > HANDSHAKE_BYTES_MAX)
      return failed("PROTOCOL_VIOLATION", "too long a handshake");
    if (this.isRepetition(frame)) return this.#options.initiator ? NOTHING : { send: this.#lastSent };
    const overtaking = this.#overtaking(frame);
    const decoded = decodeMessage(overtaking ?? frame);
    if (!decoded.ok) return failed("PROTOCOL_VIOLATION", decoded.reason);
    const { message } = decoded;
    if (overtaking !== undefined && message.type !== "reject")
      return failed("PROTOCOL_VIOLATION", `${message.type} before AUTH`);
    switch (message.type) {
      case "hello":
        return this.#receiveHello(message, frame);
      case "auth":
        return this.#receiveAuth(message.proof, frame);
      case "reject":
        return { send: [], failure: { code: message.code, text: message.text, remote: true } };
      default:
        return failed("PROTOCOL_VIOLATION", `${message.type} before the handshake`);
    }
  }

  /**
   * The responder is through with the handshake once it has answered AUTH. Where that answer was lost or
   * overtaken, the REJECT with which it ends the session comes first, and as a frame of the channel.
   */
  #overtaking(frame: Uint8Array): Uint8Array | undefined {
    if (!this.#options.initiator || this.#peer === undefined) return undefined;
    const message = this.#channel().unwrap(frame);
    return typeof message === "string" ? undefined : message;
  }

  #receiveHello(peer: Hello, frame: Uint8Array): HandshakeStep {
    const options = this.#options;
    if (this.#peer !== undefined) return failed("PROTOCOL_VIOLATION", "a second HELLO");
    if (peer.initiator === options.initiator)
      return failed("PROTOCOL_VIOLATION", "both sides claim one role");
    const version = Math.min(PROTOCOL_NEWEST, peer.versionNewest);
    if (version < PROTOCOL_OLDEST || version < peer.versionOldest) {
      return failed(
        "PROTOCOL_VERSION",
        `versions ${peer.versionOldest} to ${peer.versionNewest} there, ${PROTOCOL_OLDEST} to ${PROTOCOL_NEWEST} here`,
      );
    }
    if (peer.sealed !== (options.secret !== undefined)) {
      return failed("AUTHENTICATION_FAILED", "one side has a secret and the other has none");
    }
    if (peer.cluster !== options.cluster) {
      return failed("AUTHENTICATION_FAILED", "the peer belongs to another cluster");
    }
    if (peer.incarnation === options.incarnation) return failed("DUPLICATE_PEER", "this is the node itself");
    this.#peer = peer;
    this.#peerHello = frame;
    this.#version = version;
    this.#lastSent = options.initiator ? [this.#auth(true)] : [this.#hello];
    return { send: this.#lastSent };
  }

  #receiveAuth(proof: Uint8Array, frame: Uint8Array): HandshakeStep {
    const { initiator, cryptography, secret } = this.#options;
    if (this.#peer === undefined) return failed("PROTOCOL_VIOLATION", "AUTH before HELLO");
    if (this.#peerAuth !== undefined) return failed("PROTOCOL_VIOLATION", "a second AUTH");
    if (secret !== undefined && !cryptography.equal(proof, this.#proof(!initiator, secret))) {
      return failed("AUTHENTICATION_FAILED", "the secrets differ");
    }
    this.#peerAuth = frame;
    const send = initiator ? [] : [this.#auth(false)];
    this.#lastSent = send;
    return { send, done: { peer: this.#peer, version: this.#version, channel: this.#channel() } };
  }

  #auth(initiator: boolean): Uint8Array {
    const { secret } = this.#options;
    const proof = secret === undefined ? new Uint8Array(PROOF_BYTES) : this.#proof(initiator, secret);
    return encodeMessage({ type: "auth", proof });
  }

  #proof(initiator: boolean, secret: Uint8Array): Uint8Array {
    const { cryptography } = this.#options;
    const key = cryptography.deriveKey(secret, EMPTY_BYTES, "fulmar sync authentication", 32);
    const label = UTF8.encode(initiator ? "initiator" : "responder");
    return cryptography.hmacSha256(key, concatBytes(label, this.#transcript()));
  }

  #channel(): Channel {
    const { initiator, cryptography, checksum, secret } = this.#options;
    if (secret === undefined) return new PlainChannel(checksum);
    const salt = cryptography.sha256(this.#transcript());
    const there = cryptography.deriveKey(secret, salt, "fulmar sync initiator to responder", 32);
    const back = cryptography.deriveKey(secret, salt, "fulmar sync responder to initiator", 32);
    return new SealedChannel(cryptography, initiator ? there : back, initiator ? back : there);
  }

  /** Both HELLOs to the last byte, each with its length before it. */
  #transcript(): Uint8Array {
    const other = this.#peerHello ?? EMPTY_BYTES;
    const [first, second] = this.#options.initiator ? [this.#hello, other] : [other, this.#hello];
    const lengths = new Uint8Array(8);
    writeU32(lengths, 0, first.length);
    writeU32(lengths, 4, second.length);
    return concatBytes(lengths, first, second);
  }
}

function failed(code: ErrorCode, text: string): HandshakeStep {
  return { send: [], failure: { code, text, remote: false } };
}
