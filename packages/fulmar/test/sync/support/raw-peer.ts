import { crc32 } from "../../../src/base/crc.js";
import type { Connection } from "../../../src/base/runtime/interface.js";
import { encodeKey } from "../../../src/keys/key.js";
import { Coverage, type Hole } from "../../../src/record/coverage.js";
import { type EntryFields, entryBytes, writeEntry } from "../../../src/record/entry.js";
import { hlcFromWall } from "../../../src/record/hybrid-clock.js";
import type { OriginId } from "../../../src/record/origins.js";
import { Handshake } from "../../../src/sync/handshake.js";
import { decodeMessage } from "../../../src/sync/protocol/decode.js";
import { encodeMessage } from "../../../src/sync/protocol/encode.js";
import type { Message, Page, State } from "../../../src/sync/protocol/messages.js";
import type { Channel } from "../../../src/sync/secure-channel.js";
import type { Cluster } from "./cluster.js";

const SECRET = new TextEncoder().encode("0123456789abcdef");

export function originId(letter: string): OriginId {
  return letter.repeat(32);
}

export function coverageOf(items: Readonly<Record<string, number>>, holes: readonly Hole[] = []): Coverage {
  const coverage = new Coverage();
  for (const [letter, upTo] of Object.entries(items)) coverage.set(originId(letter), { upTo, holes });
  return coverage;
}

/** One entry of a page: key and text value, written by origin number `origin` of the page's dictionary. */
export interface RawEntry {
  readonly key: string;
  readonly value: string;
  readonly origin: number;
  readonly seq: number;
  readonly wallMs?: number;
}

export function rawEntries(entries: readonly RawEntry[]): Page["entries"] {
  const parts = entries.map(({ key, value, origin, seq, wallMs }) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const fields: EntryFields = {
      key: encodeKey(key, 4096),
      value: bytes,
      flags: 0,
      origin,
      hlc: hlcFromWall(wallMs ?? 1_800_000_000_000) + seq,
      seq,
      deadline: 0,
      valueChecksum: crc32(bytes),
    };
    const into = new Uint8Array(entryBytes(fields.key.length, bytes.length, 0));
    writeEntry(into, 0, fields);
    return into;
  });
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return { bytes: whole, count: entries.length };
}

/** A page with everything left out set to what an only page has. */
export function rawPage(page: Partial<Page> & { readonly cut: number }): Page {
  return {
    type: "page",
    index: 0,
    last: true,
    partial: false,
    onStage: false,
    epoch: 1,
    throughOrigin: "",
    throughSeq: 0,
    from: new Coverage(),
    to: new Coverage(),
    dictionary: [],
    entries: { bytes: new Uint8Array(0), count: 0 },
    ...page,
  };
}

export function rawState(state: Partial<State> & { readonly number: number }): State {
  return {
    type: "state",
    answers: 0,
    doneCut: 0,
    openCut: 0,
    openPages: 0,
    epoch: 1,
    wallMs: 1_800_000_000_000,
    pulling: false,
    stalled: false,
    retryHoles: false,
    coverage: new Coverage(),
    staged: undefined,
    neighbours: undefined,
    ...state,
  };
}

/** A peer that proves itself properly and from then on says exactly what a test tells it to. */
export class RawPeer {
  readonly received: Message[] = [];
  readonly connection: Connection;
  readonly #handshake: Handshake;
  channel: Channel | undefined;
  isClosed = false;
  /** Whether each frame goes back as it came. */
  isEcho = false;

  private constructor(cluster: Cluster, connection: Connection, incarnation: OriginId) {
    const { cryptography, checksum, random } = cluster.world.runtime("raw");
    const nonce = new Uint8Array(32);
    random.fill(nonce);
    this.connection = connection;
    this.#handshake = new Handshake({
      initiator: true,
      incarnation,
      name: "raw",
      cluster: "",
      nonce,
      secret: SECRET,
      cryptography,
      checksum,
    });
    connection.limitFrames(2 ** 30);
    connection.start({
      frame: (bytes) => this.#frame(bytes),
      drained: () => {},
      closed: () => {
        this.isClosed = true;
      },
    });
    for (const frame of this.#handshake.start()) connection.send(frame);
  }

  /** Connects to a node and proves itself. */
  static async connect(cluster: Cluster, address: string, letter: string): Promise<RawPeer> {
    const { transport } = cluster.world.runtime(`raw${letter}`);
    const connection = await cluster.during(
      transport.connect(address, { timeoutMs: 1000, frameBytesMax: 4096 }),
    );
    const peer = new RawPeer(cluster, connection, originId(letter));
    await cluster.world.run(1000, () => peer.channel !== undefined);
    return peer;
  }

  send(...messages: readonly Message[]): void {
    for (const message of messages) this.sendBytes(encodeMessage(message));
  }

  sendBytes(message: Uint8Array): void {
    if (this.channel !== undefined) this.connection.send(this.channel.wrap(message));
  }

  ofType<T extends Message["type"]>(type: T): Extract<Message, { type: T }>[] {
    return this.received.filter((message): message is Extract<Message, { type: T }> => message.type === type);
  }

  last<T extends Message["type"]>(type: T): Extract<Message, { type: T }> | undefined {
    return this.ofType(type).at(-1);
  }

  #frame(bytes: Uint8Array): void {
    if (this.channel === undefined) {
      const step = this.#handshake.receive(bytes);
      for (const frame of step.send) this.connection.send(frame);
      this.channel = step.done?.channel;
      return;
    }
    if (this.isEcho) this.connection.send(bytes.slice());
    const message = this.channel.unwrap(bytes);
    if (typeof message === "string") return;
    const decoded = decodeMessage(message);
    if (decoded.ok) this.received.push(decoded.message);
  }
}
