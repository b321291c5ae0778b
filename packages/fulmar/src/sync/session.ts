import { type ErrorCode, FulmarError, isNoMemory } from "../base/errors.js";
import type { Connection } from "../base/runtime/interface.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";
import type { StorePort } from "../store/port.js";
import { type Failure, Handshake, type HandshakeStep } from "./handshake.js";
import type { Inbox } from "./inbox.js";
import { NamedTimers } from "./named-timers.js";
import { decodeMessage } from "./protocol/decode.js";
import { encodeMessage } from "./protocol/encode.js";
import {
  ANSWER_DELAY_MS,
  BAD_FRAMES_MAX,
  FRAME_BYTES_MAX,
  HANDSHAKE_MS_MAX,
  HANDSHAKE_REPEAT_MS,
  HEARTBEATS_MISSED_MAX,
  NONCE_BYTES,
  PROBE_MS,
  WINDOW_BYTES_MAX,
} from "./protocol/limits.js";
import type { Hello, Message } from "./protocol/messages.js";
import { Receiver } from "./receiver.js";
import type { Channel } from "./secure-channel.js";
import { Sender } from "./sender.js";
import type { Settings } from "./settings.js";
import { Statements } from "./statements.js";

/** What a session needs of the replicator. */
export interface SessionHost {
  readonly port: StorePort;
  readonly settings: Settings;
  readonly inbox: Inbox;
  /** The peer has proven itself: why it is not wanted, or undefined. */
  admit(session: Session): Failure | undefined;
  opened(session: Session): void;
  /** The peer stated something new. */
  heard(session: Session): void;
  closed(session: Session, failure: Failure | undefined): void;
  /** Something that no peer can be blamed for went wrong here. */
  failed(cause: unknown): void;
  neighbours(): OriginId[];
}

type TimerName = "handshake" | "repeat" | "heartbeat" | "sender" | "probe" | "answer";
type Phase = "handshake" | "proven" | "open" | "closed";

/** One connection with one peer, from the first byte to the last. */
export class Session {
  readonly initiator: boolean;
  /** The address that was dialled; undefined for an accepted connection. */
  readonly dialled: string | undefined;
  readonly counts = { bytesSent: 0, bytesReceived: 0, badFrames: 0, staleFrames: 0 };
  readonly #host: SessionHost;
  readonly #connection: Connection;
  readonly #handshake: Handshake;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #statements: Statements;
  readonly #timers: NamedTimers<TimerName>;
  #phase: Phase = "handshake";
  #peer: Hello | undefined;
  #channel: Channel | undefined;
  #isStateOwed = false;
  #lastContactMs = 0;
  #openedMs = 0;
  #clockOffsetMs = 0;

  constructor(host: SessionHost, connection: Connection, dialled: string | undefined) {
    const { port, settings, inbox } = host;
    const { random, cryptography, checksum } = port.runtime;
    this.#host = host;
    this.#timers = new NamedTimers(port.runtime.timers);
    this.#connection = connection;
    this.dialled = dialled;
    this.initiator = dialled !== undefined;
    const nonce = new Uint8Array(NONCE_BYTES);
    random.fill(nonce);
    this.#handshake = new Handshake({
      initiator: this.initiator,
      incarnation: port.incarnation,
      name: settings.name,
      cluster: settings.cluster,
      nonce,
      secret: settings.secret,
      cryptography,
      checksum,
    });
    this.#sender = new Sender({
      port,
      pageBytes: settings.pageBytes,
      ackTimeoutMs: settings.ackTimeoutMs,
      relayDelayMs: settings.relayDelayMs,
      nowMs: () => this.#now(),
      queuedBytes: () => connection.queuedBytes,
      sendPage: (page) => this.#send(page),
      sendAsk: (number) => this.#send({ type: "ask", number }),
      wake: (delayMs) => this.#after("sender", delayMs, () => this.#sender.tick()),
    });
    this.#receiver = new Receiver({
      inbox,
      origins: port.origins,
      session: this,
      sendTaken: (verdict, cut, pages) => {
        // A peer that sends and does not read shall not fill the memory: it is told later how it stands.
        if (connection.queuedBytes > WINDOW_BYTES_MAX) this.#isStateOwed = true;
        else this.#send({ type: "taken", verdict, cut, pages });
      },
      sendState: () => this.state(false),
      learn: (coverage) => this.#sender.learn(coverage),
    });
    this.#statements = new Statements({
      port,
      inbox,
      session: this,
      progress: () => this.#receiver.progress(),
      neighbours: () => host.neighbours(),
    });
  }

  get peer(): Hello | undefined {
    return this.#peer;
  }

  get remote(): string {
    return this.#connection.remote;
  }

  get sender(): Sender {
    return this.#sender;
  }

  get receiver(): Receiver {
    return this.#receiver;
  }

  get lastContactMs(): number {
    return this.#lastContactMs;
  }

  /** How far the peer's wall clock is ahead of ours, as far as its last statement tells; the way there included. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs;
  }

  /** How long the session has been open, in ms. */
  get ageMs(): number {
    return this.#openedMs === 0 ? 0 : this.#now() - this.#openedMs;
  }

  start(): void {
    this.#lastContactMs = this.#now();
    this.#after("handshake", HANDSHAKE_MS_MAX, () =>
      this.#fail("CONNECTION_LOST", "no handshake within the time allowed"),
    );
    this.#connection.start({
      frame: (bytes) => this.#guard(() => this.#frame(bytes)),
      drained: () => this.#guard(() => this.#drained()),
      closed: (cause) => {
        const text = cause?.message ?? "closed by the peer";
        this.#end({ code: "CONNECTION_LOST", text, remote: true }, false);
      },
    });
    this.#sendRaw(this.#handshake.start());
    if (this.initiator) this.#repeatLater();
  }

  /** The store has synced more. */
  pump(): void {
    if (this.#phase === "open") this.#guard(() => this.#sender.pump());
  }

  /** States what is covered. `whole`: everything rather than what changed. */
  state(whole: boolean, retryHoles = false): void {
    if (this.#phase !== "open") return;
    if (this.#connection.queuedBytes > WINDOW_BYTES_MAX) {
      this.#isStateOwed = true;
      return;
    }
    this.#isStateOwed = false;
    this.#guard(() => this.#send(this.#statements.next(whole, retryHoles)));
  }

  /** States what is covered if the peer has reason to know. */
  stateNews(): void {
    if (this.#phase !== "open") return;
    if (this.#statements.hasNews()) this.state(false);
  }

  /** Ends the session unless the peer gives a sign of life soon: somebody says that it has a new connection. */
  probe(): void {
    if (this.#phase !== "open" || this.#timers.has("probe")) return;
    const askedMs = this.#now();
    this.#send({ type: "ask", number: 0 });
    this.#after("probe", PROBE_MS, () => {
      if (this.#lastContactMs < askedMs) this.#fail("CONNECTION_LOST", "the peer does not answer");
    });
  }

  /** Ends the session in order, telling the peer why. */
  close(code: ErrorCode, text: string): void {
    this.#fail(code, text);
  }

  #frame(bytes: Uint8Array): void {
    if (this.#phase === "closed") return;
    this.counts.bytesReceived += bytes.length;
    const isRepeated = this.#phase === "proven" && this.#handshake.isRepetition(bytes);
    if (this.#phase === "handshake" || isRepeated) {
      this.#step(this.#handshake.receive(bytes));
      return;
    }
    const message = this.#channel?.unwrap(bytes) ?? "bad";
    if (message === "stale") {
      this.counts.staleFrames++;
    } else if (message === "bad") {
      this.counts.badFrames++;
      if (this.counts.badFrames > BAD_FRAMES_MAX)
        this.#fail("PROTOCOL_VIOLATION", "frames that were not sent so");
    } else {
      this.#message(message);
    }
  }

  #step(step: HandshakeStep): void {
    this.#sendRaw(step.send);
    if (step.failure !== undefined) {
      this.#end(step.failure, !step.failure.remote);
      return;
    }
    if (step.done === undefined) return;
    this.#peer = step.done.peer;
    this.#channel = step.done.channel;
    this.#phase = "proven";
    this.#timers.cancel("repeat");
    this.#connection.limitFrames(FRAME_BYTES_MAX);
    // The responder waits for the first frame after the handshake: until then the initiator may find
    // that it has a connection already, and must not make the responder drop that one for this.
    if (this.initiator) this.#open();
  }

  #open(): void {
    const refusal = this.#host.admit(this);
    if (refusal !== undefined) {
      this.#end(refusal, true);
      return;
    }
    this.#phase = "open";
    this.#openedMs = this.#now();
    this.#timers.cancel("handshake");
    this.#host.opened(this);
    this.state(true);
    this.#beatLater();
    this.#sender.tick();
  }

  #message(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok) {
      this.#fail("PROTOCOL_VIOLATION", decoded.reason);
      return;
    }
    const { message } = decoded;
    if (message.type === "reject") {
      this.#end({ code: message.code, text: message.text, remote: true }, false);
      return;
    }
    if (this.#phase === "proven") this.#open();
    if (this.#phase !== "open") return;
    this.#lastContactMs = this.#now();
    this.#dispatch(message);
  }

  #dispatch(message: Message): void {
    switch (message.type) {
      case "state":
        if (this.#exceedsOwn(message.coverage) || this.#exceedsOwn(message.staged)) return;
        this.#clockOffsetMs = message.wallMs - this.#host.port.runtime.clock.wallMs();
        if (this.#sender.receiveState(message)) this.#host.heard(this);
        return;
      case "ask":
        this.#statements.asked(message.number);
        // One answer to all that are asked at once: a question is small and the answer may be large.
        if (!this.#timers.has("answer")) this.#after("answer", ANSWER_DELAY_MS, () => this.state(true));
        return;
      case "page":
        if (this.#exceedsOwn(message.from) || this.#exceedsOwn(message.to)) return;
        this.#receiver.receive(message);
        this.#host.heard(this);
        return;
      case "taken":
        this.#sender.receiveTaken(message);
        return;
      default:
        this.#fail("PROTOCOL_VIOLATION", `${message.type} after the handshake`);
    }
  }

  /** Nobody can know more of this node's own commits than it has synced. */
  #exceedsOwn(claim: Coverage | undefined): boolean {
    const { port } = this.#host;
    const own = port.coverage().of(port.incarnation).upTo;
    if (claim === undefined || claim.of(port.incarnation).upTo <= own) return false;
    this.#fail(
      "PROTOCOL_VIOLATION",
      "claims commits that this node never made: it may run on an older or second copy of this data directory",
    );
    return true;
  }

  #drained(): void {
    if (this.#phase !== "open") return;
    if (this.#isStateOwed) this.state(true);
    this.#sender.pump();
  }

  #beatLater(): void {
    const { settings, port } = this.#host;
    const { heartbeatMs } = settings;
    const delayMs = Math.ceil(heartbeatMs * 0.75) + port.runtime.random.below(Math.ceil(heartbeatMs / 2) + 1);
    this.#after("heartbeat", delayMs, () => this.#beat(heartbeatMs));
  }

  #beat(heartbeatMs: number): void {
    if (this.#now() - this.#lastContactMs > HEARTBEATS_MISSED_MAX * heartbeatMs) {
      this.#fail("CONNECTION_LOST", "the peer has fallen silent");
      return;
    }
    this.state(true);
    this.#beatLater();
  }

  #repeatLater(): void {
    this.#after("repeat", HANDSHAKE_REPEAT_MS, () => {
      if (this.#phase !== "handshake") return;
      this.#sendRaw(this.#handshake.repeat());
      this.#repeatLater();
    });
  }

  #send(message: Message): void {
    if (this.#phase === "closed" || this.#channel === undefined) return;
    this.#sendRaw([this.#channel.wrap(encodeMessage(message))]);
  }

  #sendRaw(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      this.counts.bytesSent += frame.length;
      this.#connection.send(frame);
    }
  }

  #fail(code: ErrorCode, text: string): void {
    this.#end({ code, text, remote: false }, true);
  }

  #end(failure: Failure, tell: boolean): void {
    if (this.#phase === "closed") return;
    if (tell) this.#tell(failure);
    this.#phase = "closed";
    this.#timers.clear();
    this.#sender.close();
    this.#receiver.close();
    // A stranger is not waited for: the place is wanted for others.
    this.#connection.close(this.#peer !== undefined);
    this.#host.closed(this, failure);
  }

  #tell({ code, text }: Failure): void {
    const reject: Message = { type: "reject", code, text };
    try {
      if (this.#phase === "handshake") this.#sendRaw([encodeMessage(reject)]);
      else this.#send(reject);
    } catch {
      // Mostly no memory for it. The end of the connection says that it is over, if not why.
    }
  }

  /** Nothing that a peer sends may throw into the transport. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (cause) {
      const own = isNoMemory(cause) ? "CONNECTION_LOST" : "INVARIANT";
      const code = cause instanceof FulmarError ? cause.code : own;
      if (code === own) this.#host.failed(cause);
      this.#fail(code, String(cause));
    }
  }

  #after(name: TimerName, delayMs: number, task: () => void): void {
    this.#timers.set(name, delayMs, () => {
      if (this.#phase !== "closed") this.#guard(task);
    });
  }

  #now(): number {
    return this.#host.port.runtime.clock.monotonicMs();
  }
}
