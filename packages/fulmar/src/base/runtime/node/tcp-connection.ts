import type { Socket } from "node:net";
import { formatAddress } from "../../address.js";
import { assert } from "../../assert.js";
import { codeOf, FulmarError } from "../../errors.js";
import type { Connection, ConnectionHandler } from "../interface.js";
import { encodeFrames, FRAME_HEADER_BYTES, FrameDecoder } from "./frames.js";

/** So long, in ms, may the other side take to receive what is queued when a connection is closed. */
const CLOSE_MS = 5_000;
/** Idle connections are probed after this time, so that a vanished machine is noticed. */
const KEEP_ALIVE_MS = 30_000;
/** So many bytes are handed to the socket at once instead of at the end of the turn. */
const FLUSH_BYTES = 256 * 1024;
/** So many frames are delivered before everything else has its turn: a flood of them must not take the loop. */
export const FRAMES_IN_TURN_MAX = 256;
/** More queued bytes than this end the connection. Senders are expected to stop far earlier. */
export const QUEUED_BYTES_MAX = 2 ** 30;

/** The CONNECTION_LOST that stands for an error of the system. */
export function connectionLost(remote: string, cause: unknown): FulmarError {
  const system = codeOf(cause) ?? "unknown error";
  return new FulmarError("CONNECTION_LOST", `lost the connection to ${remote} (${system})`, {
    remote,
    system,
    cause,
  });
}

/** Frames over a TCP socket. Reads nothing from the system until it is started, nor while it is paused. */
export class TcpConnection implements Connection {
  readonly remote: string;
  readonly #socket: Socket;
  readonly #decoder: FrameDecoder;
  readonly #closeMs: number;
  #handler: ConnectionHandler | undefined;
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #writingBytes = 0;
  #paused = false;
  #delivering = false;
  #isResting = false;
  /** No frame is accepted or delivered any more; what is queued is still written. */
  #closing = false;
  #closed = false;
  #cause: Error | undefined;
  #closeTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, frameBytesMax: number, closeMs = CLOSE_MS) {
    this.remote =
      socket.remoteAddress === undefined
        ? "unknown"
        : formatAddress(socket.remoteAddress, socket.remotePort ?? 0);
    this.#socket = socket;
    this.#decoder = new FrameDecoder(frameBytesMax);
    this.#closeMs = closeMs;
    socket.pause();
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => {
      // Once either side has ended in order, how the rest goes is of no interest.
      if (!this.#closing) this.#cause ??= connectionLost(this.remote, error);
    });
    socket.on("close", () => this.#onClose());
  }

  get queuedBytes(): number {
    return this.#outgoingBytes + this.#writingBytes;
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, "a connection is started once");
    this.#handler = handler;
    if (this.#closed) {
      process.nextTick(() => handler.closed(this.#cause));
      return;
    }
    this.#socket.on("data", (input: Uint8Array) => {
      if (this.#closing) return;
      this.#decoder.push(input);
      this.#deliver();
    });
    if (!this.#paused) this.#socket.resume();
  }

  send(frame: Uint8Array): void {
    assert(frame.length >= 1 && frame.length < 2 ** 32, "a frame has 1 to 2^32 - 1 bytes");
    if (this.#closing || this.#closed) return;
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush());
    this.#outgoing.push(frame);
    this.#outgoingBytes += FRAME_HEADER_BYTES + frame.length;
    if (this.queuedBytes > QUEUED_BYTES_MAX) {
      this.#fail(new FulmarError("CONNECTION_LOST", `${this.remote} does not take what it is sent`));
    } else if (this.#outgoingBytes >= FLUSH_BYTES) {
      this.#flush();
    }
  }

  limitFrames(frameBytesMax: number): void {
    this.#decoder.limit(frameBytesMax);
  }

  pause(): void {
    this.#paused = true;
    if (!this.#closing) this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#handler === undefined || this.#delivering) return;
    // Later, so that nothing is delivered from within the caller.
    process.nextTick(() => this.#deliver());
  }

  close(lingers = true): void {
    if (this.#closing || this.#closed) return;
    this.#flush();
    this.#closing = true;
    if (lingers) this.#socket.end();
    else this.#socket.destroySoon();
    // Unread input would make the system reset the connection and lose what is under way to the other side.
    this.#socket.resume();
    this.#closeTimer = setTimeout(() => this.#socket.destroy(), this.#closeMs);
    this.#closeTimer.unref();
  }

  /** Hands over the frames that the decoder has, as long as the handler wants them, and then reads on. */
  #deliver(): void {
    if (this.#delivering || this.#isResting) return;
    this.#delivering = true;
    try {
      for (let count = 0; !this.#paused && !this.#closing; count++) {
        if (count === FRAMES_IN_TURN_MAX) {
          this.#rest();
          return;
        }
        const frame = this.#nextFrame();
        if (frame === undefined) {
          if (!this.#closing) this.#socket.resume();
          return;
        }
        this.#handler?.frame(frame);
      }
    } finally {
      this.#delivering = false;
    }
  }

  /** Reads nothing until the other tasks of this turn are done. */
  #rest(): void {
    this.#isResting = true;
    this.#socket.pause();
    setImmediate(() => {
      this.#isResting = false;
      this.#deliver();
    });
  }

  #nextFrame(): Uint8Array | undefined {
    try {
      return this.#decoder.next();
    } catch (error) {
      this.#fail(error instanceof FulmarError ? error : this.#broken(error));
      return undefined;
    }
  }

  #flush(): void {
    if (this.#outgoing.length === 0 || this.#closing || this.#closed) return;
    const buffers = this.#encodedFrames();
    if (buffers === undefined) return;
    const sizeBytes = this.#outgoingBytes;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#writingBytes += sizeBytes;
    this.#socket.cork();
    for (const [i, buffer] of buffers.entries()) {
      if (i < buffers.length - 1) this.#socket.write(buffer);
      else this.#socket.write(buffer, (error) => this.#onWritten(sizeBytes, error));
    }
    this.#socket.uncork();
  }

  #encodedFrames(): readonly Uint8Array[] | undefined {
    try {
      return encodeFrames(this.#outgoing);
    } catch (error) {
      this.#fail(this.#broken(error));
      return undefined;
    }
  }

  /** Mostly there is no memory for a frame. */
  #broken(cause: unknown): FulmarError {
    const { remote } = this;
    const message = `frames from or to ${remote} could not be handled: ${String(cause)}`;
    return new FulmarError("CONNECTION_LOST", message, { remote, cause });
  }

  #onWritten(sizeBytes: number, error: Error | null | undefined): void {
    // After an error `close` follows, and what could not be written stays queued until then.
    if (error || this.#closed) return;
    this.#writingBytes -= sizeBytes;
    if (this.queuedBytes === 0 && !this.#closing) this.#handler?.drained();
  }

  #onEnd(): void {
    if (!this.#closing && this.#decoder.partial) {
      this.#cause = new FulmarError("CONNECTION_LOST", `${this.remote} ended within a frame`);
    }
    this.close();
  }

  /** Ends the connection at once. */
  #fail(cause: FulmarError): void {
    this.#cause ??= cause;
    this.#closing = true;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#socket.destroy();
  }

  #onClose(): void {
    clearTimeout(this.#closeTimer);
    this.#closing = true;
    this.#closed = true;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    this.#writingBytes = 0;
    this.#handler?.closed(this.#cause);
  }
}
