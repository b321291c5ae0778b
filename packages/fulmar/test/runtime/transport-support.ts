import { connect, type Socket } from "node:net";
import { expect } from "vitest";
import type { Connection, ConnectionHandler, Listener } from "../../src/base/runtime/interface.js";
import { nodeTransport } from "../../src/base/runtime/node/tcp-transport.js";

export const LIMIT = 4 << 20;
export const CONNECT = { frameBytesMax: LIMIT, timeoutMs: 20_000 };

/** Something that happens once and is waited for. */
export class Signal<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
  fire(value: T): void {
    this.#resolve(value);
  }
}

/** Records what a connection delivers, and lets a test wait for it. */
export class Recorder implements ConnectionHandler {
  readonly frames: Uint8Array[] = [];
  readonly ended = new Signal<Error | undefined>();
  drains = 0;
  closes = 0;
  onFrame: (bytes: Uint8Array) => void = () => {};
  #wake: (() => void)[] = [];

  frame(bytes: Uint8Array): void {
    this.frames.push(bytes);
    this.onFrame(bytes);
    this.#notify();
  }
  drained(): void {
    this.drains++;
    this.#notify();
  }
  closed(cause?: Error): void {
    this.closes++;
    this.ended.fire(cause);
    this.#notify();
  }
  /** Returns when `condition` holds; it is looked at after every event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A listener on loopback that keeps what it accepts. */
export class Host {
  readonly connections: Connection[] = [];
  listener!: Listener;
  #waiting: ((connection: Connection) => void)[] = [];
  #next = 0;

  static async open(connectionsMax = 10, frameBytesMax = LIMIT): Promise<Host> {
    const host = new Host();
    host.listener = await nodeTransport.listen(
      "127.0.0.1:0",
      { connectionsMax, frameBytesMax },
      (connection) => {
        host.connections.push(connection);
        host.#waiting.shift()?.(connection);
      },
    );
    return host;
  }
  get address(): string {
    return this.listener.address;
  }
  /** The next accepted connection. */
  accepted(): Promise<Connection> {
    const at = this.#next++;
    if (at < this.connections.length) return Promise.resolve(this.connections[at]);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
  async close(): Promise<void> {
    for (const connection of this.connections) connection.close();
    await this.listener.close();
  }
}

/** Makes hosts and connections, and takes them all away after a test. */
export class Bench {
  readonly #cleanups: (() => unknown)[] = [];

  onClear(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async clear(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).reverse()) await cleanup();
  }

  async host(connectionsMax?: number, frameBytesMax?: number): Promise<Host> {
    const opened = await Host.open(connectionsMax, frameBytesMax);
    this.onClear(() => opened.close());
    return opened;
  }

  async connect(address: string): Promise<Connection> {
    const connection = await nodeTransport.connect(address, CONNECT);
    this.onClear(() => connection.close());
    return connection;
  }

  /** A bare socket towards a listening host. */
  async raw(address: string): Promise<Socket> {
    const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
    this.onClear(() => socket.destroy());
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    return socket;
  }
}

export function pattern(length: number, salt = 0): Uint8Array {
  return new Uint8Array(length).map((_, i) => i * 7 + salt);
}

/** Matches an error with this code. */
export function code(value: string): object {
  return expect.objectContaining({ code: value });
}
