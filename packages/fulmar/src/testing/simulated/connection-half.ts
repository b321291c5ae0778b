import { assert } from "../../base/assert.js";
import { crc32 } from "../../base/crc.js";
import { FulmarError } from "../../base/errors.js";
import type { Connection, ConnectionHandler } from "../../base/runtime/interface.js";
import type { Link } from "./link.js";
import type { SimulatedProcess } from "./process.js";
import type { Scheduler } from "./scheduler.js";

/** Bytes under way, or waiting at a receiver that does not take them, before a sender's queue grows. */
const WINDOW_BYTES = 256 * 1024;
/** More queued bytes than this end the connection, as over TCP. */
const QUEUED_BYTES_MAX = 2 ** 30;
/** So long may the other side take to receive what is queued when a connection is closed. */
const CLOSE_MS = 5_000;

/** What a connection needs to know of the world around it. */
export interface ConnectionWorld {
  readonly scheduler: Scheduler;
  /** Whether the machine answers, though perhaps not the process that it once ran. */
  isUp(host: string): boolean;
}

export interface HalfOptions {
  readonly host: string;
  readonly remote: string;
  readonly process: SimulatedProcess;
  /** The direction from this side to the other. */
  readonly link: Link;
  readonly frameBytesMax: number;
  readonly ended: () => void;
}

/** `open`: both ways. `closing`: sends what is queued, takes nothing. `gone`: its machine died silently. */
type State = "open" | "closing" | "closed" | "gone";

interface Arrived {
  /** Undefined marks the end of the stream. */
  readonly frame: Uint8Array | undefined;
  readonly taken: () => void;
}

/** One side of a simulated connection. */
export class ConnectionHalf implements Connection {
  readonly host: string;
  readonly remote: string;
  /** Something that was sent was lost in a partition: the connection breaks when the line heals. */
  broken = false;
  readonly #world: ConnectionWorld;
  readonly #process: SimulatedProcess;
  readonly #link: Link;
  readonly #ended: () => void;
  readonly #forgetKill: () => void;
  #peer: ConnectionHalf | undefined;
  #state: State = "open";
  #handler: ConnectionHandler | undefined;
  #cause: Error | undefined;
  #told = false;
  #frameBytesMax: number;
  #paused = false;
  #delivering = false;
  readonly #outbox: (Uint8Array | undefined)[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #waiting = false;
  /** Frames under way to the other side that must arrive in this order. */
  readonly #ordered: Arrived[] = [];
  readonly #inbox: Arrived[] = [];

  constructor(world: ConnectionWorld, options: HalfOptions) {
    this.#world = world;
    this.host = options.host;
    this.remote = options.remote;
    this.#process = options.process;
    this.#link = options.link;
    this.#frameBytesMax = options.frameBytesMax;
    this.#ended = options.ended;
    this.#forgetKill = options.process.onKill(() => this.#onKill());
  }

  /** Joins two sides; done once, before anything is sent. */
  static join(a: ConnectionHalf, b: ConnectionHalf): void {
    a.#peer = b;
    b.#peer = a;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get over(): boolean {
    return this.#state === "closed" || this.#state === "gone";
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, "a connection is started once");
    this.#handler = handler;
    if (this.over) this.#tell();
    else this.#later("start", () => this.#deliver());
  }

  send(frame: Uint8Array): void {
    assert(frame.length >= 1 && frame.length < 2 ** 32, "a frame has 1 to 2^32 - 1 bytes");
    if (this.#state !== "open" || !this.#process.alive) return;
    this.#outbox.push(frame);
    this.#queuedBytes += frame.length;
    this.#pump();
    this.#waiting = this.#queuedBytes > 0;
    if (this.#queuedBytes > QUEUED_BYTES_MAX) {
      this.breakOff(new FulmarError("CONNECTION_LOST", `${this.remote} does not take what it is sent`));
    }
  }

  limitFrames(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#later("resume", () => this.#deliver());
  }

  close(): void {
    if (this.#state !== "open" || !this.#process.alive) return;
    this.#state = "closing";
    for (const arrived of this.#inbox.splice(0)) arrived.taken();
    this.#outbox.push(undefined);
    this.#pump();
    this.#tell();
    const { scheduler } = this.#world;
    const giveUp = (): void => this.fail(undefined);
    scheduler.at(scheduler.nowMs + CLOSE_MS, "net linger", giveUp, {
      owner: this.#process,
      background: true,
    });
  }

  /** Ends this side at once, with what is queued lost, and lets the other side know if the line carries it. */
  breakOff(cause: Error): void {
    this.#resetPeer();
    this.fail(cause);
  }

  /** Ends this side at once; the other side hears nothing of it. */
  fail(cause: Error | undefined): void {
    if (this.over) return;
    this.#cause = cause;
    this.#finish("closed");
    this.#tell();
  }

  #finish(state: State): void {
    this.#state = state;
    this.#outbox.length = 0;
    this.#inbox.length = 0;
    this.#ordered.length = 0;
    this.#queuedBytes = 0;
    this.#forgetKill();
    this.#ended();
  }

  /** Tells the handler that it is over, from an event of its own and only once. */
  #tell(): void {
    if (this.#told || this.#handler === undefined) return;
    this.#told = true;
    this.#later("closed", () => this.#handler?.closed(this.#cause));
  }

  #later(label: string, task: () => void): void {
    if (!this.#process.alive) return;
    const { scheduler } = this.#world;
    scheduler.at(scheduler.nowMs, `net ${label}`, task, { owner: this.#process });
  }

  /** Puts on the line what the window allows. */
  #pump(): void {
    while (this.#outbox.length > 0) {
      const frame = this.#outbox[0];
      const length = frame?.length ?? 0;
      if (this.#inFlightBytes > 0 && this.#inFlightBytes + length > WINDOW_BYTES) return;
      this.#outbox.shift();
      this.#queuedBytes -= length;
      this.#inFlightBytes += length;
      this.#transmit(frame, length);
    }
    if (!this.#waiting || this.#queuedBytes > 0) return;
    this.#waiting = false;
    if (this.#state === "open") this.#later("drained", () => this.#drained());
  }

  #drained(): void {
    if (this.#state === "open" && this.#queuedBytes === 0) this.#handler?.drained();
  }

  #transmit(frame: Uint8Array | undefined, length: number): void {
    const link = this.#link;
    if (link.blocked) {
      this.broken = true;
      return;
    }
    const departureMs = link.departure(this.#world.scheduler.nowMs, length);
    const taken = (): void => {
      this.#inFlightBytes -= length;
      if (this.over) return;
      if (frame === undefined) this.fail(undefined);
      else this.#pump();
    };
    const lost = frame !== undefined && link.loses();
    const copy = frame === undefined || lost ? undefined : link.carry(frame);
    const strayMs = frame === undefined ? 0 : link.strayMs();
    const arrivalMs = departureMs + link.delayMs() + strayMs;
    if (lost || strayMs > 0) {
      this.#travel(arrivalMs, () => this.#arrive({ frame: copy, taken }, lost));
    } else {
      // Whichever event comes first takes the first frame: delays on the way cannot change the order.
      this.#ordered.push({ frame: copy, taken });
      this.#travel(arrivalMs, () => this.#arrive(this.#ordered.shift(), false));
    }
    if (copy === undefined || !link.duplicates()) return;
    const again = { frame: copy.slice(), taken: () => {} };
    this.#travel(arrivalMs + link.delayMs(), () => this.#arrive(again, false));
  }

  /** Runs `arrive` when the line has carried something over, later if it is clogged, never if it is blocked. */
  #travel(timeMs: number, arrive: () => void): void {
    const { scheduler } = this.#world;
    scheduler.at(timeMs, `net ${this.host} -> ${this.remote}`, () => {
      if (this.#link.blocked) this.broken = true;
      else if (this.#link.cloggedUntilMs > scheduler.nowMs) this.#travel(this.#link.cloggedUntilMs, arrive);
      else arrive();
    });
  }

  #arrive(arrived: Arrived | undefined, lost: boolean): void {
    if (arrived === undefined) return;
    if (lost) arrived.taken();
    else this.#peer?.receive(arrived);
  }

  /** Something reached this side. */
  receive(arrived: Arrived): void {
    if (this.#state === "gone") {
      if (this.#world.isUp(this.host)) this.#resetPeer();
      return;
    }
    if (this.#state !== "open") {
      arrived.taken();
      return;
    }
    const frame = arrived.frame;
    this.#world.scheduler.trace.note(`net frame ${this.host}`, frame?.length ?? 0, frame ? crc32(frame) : 0);
    this.#inbox.push(arrived);
    if (this.#process.frozenUntilMs > this.#world.scheduler.nowMs) this.#later("thaw", () => this.#deliver());
    else this.#deliver();
  }

  #deliver(): void {
    if (this.#delivering || this.#handler === undefined) return;
    this.#delivering = true;
    while (!this.#paused && this.#state === "open") {
      const arrived = this.#inbox.shift();
      if (arrived === undefined) break;
      if (arrived.frame === undefined) {
        arrived.taken();
        this.fail(undefined);
      } else if (arrived.frame.length > this.#frameBytesMax) this.#refuse(arrived.frame.length);
      else {
        arrived.taken();
        this.#handler.frame(arrived.frame);
      }
    }
    this.#delivering = false;
  }

  #refuse(length: number): void {
    const message = `a frame of ${length} bytes from ${this.remote}, at most ${this.#frameBytesMax} allowed`;
    this.breakOff(new FulmarError("PROTOCOL_VIOLATION", message));
  }

  #onKill(): void {
    if (this.over) return;
    if (!this.#process.silent) this.#resetPeer();
    this.#finish(this.#process.silent ? "gone" : "closed");
  }

  /** Tells the other side, if the line carries it, that the connection is no more. */
  #resetPeer(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    if (this.#link.blocked) {
      this.broken = true;
      return;
    }
    const cause = new FulmarError("CONNECTION_LOST", `${peer.remote} reset the connection`, {
      system: "ECONNRESET",
    });
    this.#travel(this.#world.scheduler.nowMs + this.#link.delayMs(), () => peer.fail(cause));
  }
}
