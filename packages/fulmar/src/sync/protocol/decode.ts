import { COVERAGE_HOLES_MAX, ORIGINS_MAX } from "../../base/limits.js";
import { readCoverage } from "../../record/commit.js";
import { Coverage } from "../../record/coverage.js";
import { checkedEntryLength, originOf, seqOf } from "../../record/entry.js";
import { ORIGIN_ID_BYTES, type OriginId, originFromBytes } from "../../record/origins.js";
import { ByteReader } from "./byte-reader.js";
import { HELLO_FLAG, PAGE_FLAG, STATE_FLAG } from "./encode.js";
import { HOLES_IN_MESSAGE_MAX, NEIGHBOURS_MAX, NONCE_BYTES, PROOF_BYTES } from "./limits.js";
import {
  type Ask,
  type Auth,
  type Entries,
  type Hello,
  MAGIC,
  MESSAGE,
  type Message,
  type Page,
  REJECT_CODES,
  type Reject,
  type State,
  type Taken,
  VERDICTS,
} from "./messages.js";

/**
 * The one decoder of everything that comes from a peer. It never throws, allocates no more than in
 * proportion to the bytes that are there, and yields a message only when every byte of it makes sense.
 */
export type Decoded<T = Message> =
  | { readonly ok: true; readonly message: T }
  | { readonly ok: false; readonly reason: string };

const NO_SEQ = -1;
/** What is staged is stated with the holes of the staged pages on top of the store's own. */
const HOLES_OF_ORIGIN_MAX = 4 * COVERAGE_HOLES_MAX;
/** What could steer a terminal or forge a line of a log: controls, line separators, marks of direction. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const UTF8 = new TextDecoder("utf-8", { fatal: false });

export function decodeMessage(bytes: Uint8Array): Decoded {
  const reader = new ByteReader(bytes);
  const type = reader.u8();
  switch (type) {
    case MESSAGE.hello:
      // A later version may append fields that this one passes over; both sides prove to have seen them.
      return checked(reader, readHello(reader), "HELLO", true);
    case MESSAGE.auth:
      return checked(reader, readAuth(reader), "AUTH");
    case MESSAGE.reject:
      return checked(reader, readReject(reader), "REJECT");
    case MESSAGE.state:
      return checked(reader, readState(reader, bytes), "STATE");
    case MESSAGE.ask:
      return checked(reader, readAsk(reader), "ASK");
    case MESSAGE.page:
      return checked(reader, readPage(reader, bytes), "PAGE");
    case MESSAGE.taken:
      return checked(reader, readTaken(reader), "TAKEN");
    default:
      return { ok: false, reason: `unknown message type ${type}` };
  }
}

function checked(
  reader: ByteReader,
  message: Message | undefined,
  name: string,
  mayHaveMore = false,
): Decoded {
  if (message === undefined || reader.failed) return { ok: false, reason: `malformed ${name}` };
  if (reader.left > 0 && !mayHaveMore) return { ok: false, reason: `${name} with bytes behind its end` };
  return { ok: true, message };
}

function readHello(reader: ByteReader): Hello | undefined {
  for (const byte of MAGIC) if (reader.u8() !== byte) return undefined;
  const versionOldest = reader.u16();
  const versionNewest = reader.u16();
  const flags = reader.u8();
  const incarnation = readOrigin(reader);
  const nonce = reader.view(NONCE_BYTES).slice();
  const cluster = readText(reader);
  const name = printable(readText(reader));
  if (versionOldest > versionNewest) return undefined;
  return {
    type: "hello",
    versionOldest,
    versionNewest,
    sealed: (flags & HELLO_FLAG.sealed) !== 0,
    initiator: (flags & HELLO_FLAG.initiator) !== 0,
    incarnation,
    nonce,
    cluster,
    name,
  };
}

function readAuth(reader: ByteReader): Auth {
  return { type: "auth", proof: reader.view(PROOF_BYTES).slice() };
}

function readReject(reader: ByteReader): Reject {
  const code = REJECT_CODES[reader.u8()] ?? "CONNECTION_LOST";
  return { type: "reject", code, text: printable(readText(reader)) };
}

function readState(reader: ByteReader, bytes: Uint8Array): State | undefined {
  const flags = reader.u8();
  const number = reader.u32();
  const answers = reader.u32();
  const doneCut = reader.u32();
  const openCut = reader.u32();
  const openPages = reader.u32();
  const epoch = reader.u32();
  const wallMs = reader.u53();
  const dictionary = readDictionary(reader);
  const coverage = readCoverageOf(reader, bytes, dictionary);
  const staged = (flags & STATE_FLAG.staged) === 0 ? undefined : readCoverageOf(reader, bytes, dictionary);
  const neighbours = (flags & STATE_FLAG.neighbours) === 0 ? undefined : readOrigins(reader, dictionary);
  if (reader.failed || coverage === undefined) return undefined;
  return {
    type: "state",
    number,
    answers,
    doneCut,
    openCut,
    openPages,
    epoch,
    wallMs,
    pulling: (flags & STATE_FLAG.pulling) !== 0,
    stalled: (flags & STATE_FLAG.stalled) !== 0,
    retryHoles: (flags & STATE_FLAG.retryHoles) !== 0,
    coverage,
    staged,
    neighbours,
  };
}

function readAsk(reader: ByteReader): Ask {
  return { type: "ask", number: reader.u32() };
}

function readPage(reader: ByteReader, bytes: Uint8Array): Page | undefined {
  const flags = reader.u8();
  const cut = reader.u32();
  const index = reader.u32();
  const epoch = reader.u32();
  const through = reader.u32();
  const throughSeq = reader.u53();
  const dictionary = readDictionary(reader);
  const from = readCoverageOf(reader, bytes, dictionary);
  const to = readCoverageOf(reader, bytes, dictionary);
  const count = reader.u32();
  if (reader.failed || from === undefined || to === undefined || cut === 0) return undefined;
  if (through > dictionary.length || (through === 0) !== (throughSeq === 0)) return undefined;
  if (index > 0 && (from.size > 0 || to.size > 0)) return undefined;
  const entries = readEntries(reader, bytes, count, dictionary);
  if (entries === undefined) return undefined;
  return {
    type: "page",
    cut,
    index,
    last: (flags & PAGE_FLAG.last) !== 0,
    partial: (flags & PAGE_FLAG.partial) !== 0,
    onStage: (flags & PAGE_FLAG.onStage) !== 0,
    epoch,
    throughOrigin: through === 0 ? "" : dictionary[through - 1],
    throughSeq,
    from,
    to,
    dictionary,
    entries,
  };
}

/** Entries up to the end of the message: each well-formed, of a known origin, in order of (origin, seq). */
function readEntries(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  dictionary: readonly OriginId[],
): Entries | undefined {
  const start = reader.at;
  let at = start;
  let lastOrigin: OriginId = "";
  let lastSeq = NO_SEQ;
  for (let i = 0; i < count; i++) {
    const length = checkedEntryLength(bytes, at, bytes.length);
    if (length === 0) return undefined;
    const number = originOf(bytes, at);
    const seq = seqOf(bytes, at);
    if (number === 0 || number > dictionary.length || seq === 0) return undefined;
    const origin = dictionary[number - 1];
    if (origin < lastOrigin || (origin === lastOrigin && seq < lastSeq)) return undefined;
    lastOrigin = origin;
    lastSeq = seq;
    at += length;
  }
  reader.skipTo(at);
  return { bytes: bytes.subarray(start, at), count };
}

function readTaken(reader: ByteReader): Taken | undefined {
  const verdict = VERDICTS[reader.u8()];
  const cut = reader.u32();
  const pages = reader.u32();
  return verdict === undefined ? undefined : { type: "taken", verdict, cut, pages };
}

function readText(reader: ByteReader): string {
  return UTF8.decode(reader.view(reader.u8()));
}

/** Text for people, which ends up in logs. Never longer than it was. */
function printable(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

function readOrigin(reader: ByteReader): OriginId {
  return originFromBytes(reader.view(ORIGIN_ID_BYTES), 0);
}

/** Origins that differ from each other. */
function readDictionary(reader: ByteReader): OriginId[] {
  const count = reader.u32();
  if (count > ORIGINS_MAX || count > reader.left / ORIGIN_ID_BYTES) reader.fail();
  if (reader.failed) return [];
  const origins = new Set<OriginId>();
  for (let i = 0; i < count; i++) origins.add(readOrigin(reader));
  if (origins.size !== count) reader.fail();
  return [...origins];
}

function readOrigins(reader: ByteReader, dictionary: readonly OriginId[]): OriginId[] {
  const count = reader.u32();
  if (count > NEIGHBOURS_MAX || count > reader.left / 4) reader.fail();
  if (reader.failed) return [];
  const origins: OriginId[] = [];
  for (let i = 0; i < count; i++) {
    const number = reader.u32();
    if (number === 0 || number > dictionary.length) reader.fail();
    else origins.push(dictionary[number - 1]);
  }
  return origins;
}

/** A coverage in its one encoding: items in ascending order of their numbers, each once. */
function readCoverageOf(
  reader: ByteReader,
  bytes: Uint8Array,
  dictionary: readonly OriginId[],
): Coverage | undefined {
  const count = reader.u32();
  if (reader.failed) return undefined;
  const read = readCoverage(bytes, reader.at, bytes.length, count, dictionary.length);
  if (read === undefined) {
    reader.fail();
    return undefined;
  }
  const coverage = new Coverage();
  let last = 0;
  let holes = 0;
  for (const change of read.changes) {
    const ofOrigin = change.coverage.holes.length;
    holes += ofOrigin;
    if (change.origin <= last || ofOrigin > HOLES_OF_ORIGIN_MAX || holes > HOLES_IN_MESSAGE_MAX)
      reader.fail();
    last = change.origin;
    coverage.set(dictionary[change.origin - 1], change.coverage);
  }
  reader.skipTo(read.next);
  return reader.failed ? undefined : coverage;
}
