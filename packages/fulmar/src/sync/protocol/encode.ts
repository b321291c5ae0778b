import { assert } from "../../base/assert.js";
import { fromHex } from "../../base/bytes.js";
import { type CoverageChange, coverageBytes, writeCoverage } from "../../record/commit.js";
import type { Coverage } from "../../record/coverage.js";
import { ByteWriter } from "./byte-writer.js";
import { Dictionary, writeDictionary } from "./dictionary.js";
import { REJECT_TEXT_BYTES_MAX } from "./limits.js";
import {
  type Ask,
  type Auth,
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

const UTF8 = new TextEncoder();

/** Bits of the flag byte of HELLO, STATE and PAGE. */
export const HELLO_FLAG = { sealed: 1, initiator: 2 } as const;
export const STATE_FLAG = { staged: 1, pulling: 2, stalled: 4, retryHoles: 8, neighbours: 16 } as const;
export const PAGE_FLAG = { last: 1, partial: 2, onStage: 4 } as const;

/** The bytes of any message. */
export function encodeMessage(message: Message): Uint8Array {
  switch (message.type) {
    case "hello":
      return encodeHello(message);
    case "auth":
      return encodeAuth(message);
    case "reject":
      return encodeReject(message);
    case "state":
      return encodeState(message);
    case "ask":
      return encodeAsk(message);
    case "page":
      return encodePage(message);
    case "taken":
      return encodeTaken(message);
  }
}

function encodeHello(hello: Hello): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.hello);
  writer.bytes(Uint8Array.from(MAGIC));
  writer.u16(hello.versionOldest);
  writer.u16(hello.versionNewest);
  writer.u8((hello.sealed ? HELLO_FLAG.sealed : 0) | (hello.initiator ? HELLO_FLAG.initiator : 0));
  const incarnation = fromHex(hello.incarnation);
  assert(incarnation !== undefined, "an incarnation is hexadecimal");
  writer.bytes(incarnation);
  writer.bytes(hello.nonce);
  writeText(writer, UTF8.encode(hello.cluster));
  writeText(writer, UTF8.encode(hello.name));
  return writer.finish();
}

function encodeAuth(auth: Auth): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.auth);
  writer.bytes(auth.proof);
  return writer.finish();
}

function encodeReject(reject: Reject): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.reject);
  writer.u8(Math.max(0, REJECT_CODES.indexOf(reject.code)));
  writeText(writer, shortened(reject.text));
  return writer.finish();
}

/** UTF-8 cut to what a REJECT may carry, at a character's end. */
function shortened(text: string): Uint8Array {
  const bytes = UTF8.encode(text);
  let end = Math.min(bytes.length, REJECT_TEXT_BYTES_MAX);
  while (end > 0 && end < bytes.length && (bytes[end] & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function encodeState(state: State): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.state);
  let flags = 0;
  if (state.staged !== undefined) flags |= STATE_FLAG.staged;
  if (state.pulling) flags |= STATE_FLAG.pulling;
  if (state.stalled) flags |= STATE_FLAG.stalled;
  if (state.retryHoles) flags |= STATE_FLAG.retryHoles;
  if (state.neighbours !== undefined) flags |= STATE_FLAG.neighbours;
  writer.u8(flags);
  writer.u32(state.number);
  writer.u32(state.answers);
  writer.u32(state.doneCut);
  writer.u32(state.openCut);
  writer.u32(state.openPages);
  writer.u32(state.epoch);
  writer.u64(state.wallMs);
  const dictionary = new Dictionary();
  const coverage = numbered(state.coverage, dictionary);
  const staged = state.staged === undefined ? undefined : numbered(state.staged, dictionary);
  const neighbours = state.neighbours?.map((origin) => dictionary.number(origin));
  writeDictionary(writer, dictionary.origins());
  writeChanges(writer, coverage);
  if (staged !== undefined) writeChanges(writer, staged);
  if (neighbours !== undefined) {
    writer.u32(neighbours.length);
    for (const neighbour of neighbours) writer.u32(neighbour);
  }
  return writer.finish();
}

function encodeAsk(ask: Ask): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.ask);
  writer.u32(ask.number);
  return writer.finish();
}

function encodePage(page: Page): Uint8Array {
  const writer = new ByteWriter(page.entries.bytes.length + 512);
  writer.u8(MESSAGE.page);
  const flags =
    (page.last ? PAGE_FLAG.last : 0) |
    (page.partial ? PAGE_FLAG.partial : 0) |
    (page.onStage ? PAGE_FLAG.onStage : 0);
  writer.u8(flags);
  writer.u32(page.cut);
  writer.u32(page.index);
  writer.u32(page.epoch);
  const dictionary = new Dictionary();
  for (const origin of page.dictionary) dictionary.number(origin);
  const through = page.throughSeq === 0 ? 0 : dictionary.number(page.throughOrigin);
  const from = numbered(page.from, dictionary);
  const to = numbered(page.to, dictionary);
  writer.u32(through);
  writer.u64(page.throughSeq);
  writeDictionary(writer, dictionary.origins());
  writeChanges(writer, from);
  writeChanges(writer, to);
  writer.u32(page.entries.count);
  writer.bytes(page.entries.bytes);
  return writer.finish();
}

function encodeTaken(taken: Taken): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(MESSAGE.taken);
  writer.u8(VERDICTS.indexOf(taken.verdict));
  writer.u32(taken.cut);
  writer.u32(taken.pages);
  return writer.finish();
}

function writeText(writer: ByteWriter, text: Uint8Array): void {
  assert(text.length <= 255, "a short text fits its length byte");
  writer.u8(text.length);
  writer.bytes(text);
}

/** In the order of their numbers: one coverage has one encoding. */
function numbered(coverage: Coverage, dictionary: Dictionary): CoverageChange[] {
  const changes: CoverageChange[] = [];
  for (const [origin, item] of coverage.origins()) {
    changes.push({ origin: dictionary.number(origin), coverage: item });
  }
  return changes.sort((a, b) => a.origin - b.origin);
}

function writeChanges(writer: ByteWriter, changes: readonly CoverageChange[]): void {
  writer.u32(changes.length);
  const bytes = new Uint8Array(coverageBytes(changes));
  writeCoverage(bytes, 0, changes);
  writer.bytes(bytes);
}
