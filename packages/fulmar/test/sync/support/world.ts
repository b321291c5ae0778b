import { FulmarError } from "../../../src/base/errors.js";
import type {
  Clock,
  Connection,
  ConnectionHandler,
  Listener,
  Random,
  Runtime,
  Timer,
  Timers,
  Transport,
} from "../../../src/base/runtime/interface.js";
import { nodeRuntime } from "../../../src/base/runtime/node/node-runtime.js";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** What a network does to frames. Probabilities between 0 and 1. */
export interface Faults {
  loss: number;
  repeat: number;
  /** How much later than its latency a frame may arrive, in ms; without order when above zero. */
  jitterMs: number;
}

/** Virtual time and a virtual network for many nodes, all from one seed. */
export class World {
  readonly faults: Faults = { loss: 0, repeat: 0, jitterMs: 0 };
  readonly latencyMs = 5;
  nowMs = 0;
  delivered = 0;
  readonly #events: Event[] = [];
  readonly #listeners = new Map<string, { accept: (connection: Connection) => void }>();
  readonly #connections = new Set<FakeConnection>();
  /** "from>to" of host names between which nothing can be dialled. */
  readonly #blocked = new Set<string>();
  #order = 0;
  #seed: number;
  #port = 1000;

  constructor(seed: number) {
    this.#seed = seed >>> 0 || 1;
  }

  /** Timers and frames that are still to come. */
  get pending(): number {
    return this.#events.filter((event) => !event.cancelled).length;
  }

  /** A uniform number in [0, 1): mulberry32. */
  chance(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) >>> 0;
    let t = this.#seed;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.chance() * bound);
  }

  at(delayMs: number, task: () => void): Event {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, task, cancelled: false };
    let i = this.#events.length;
    this.#events.push(event);
    // Kept sorted, the next one last.
    while (i > 0 && later(event, this.#events[i - 1])) {
      this.#events[i] = this.#events[i - 1];
      i--;
    }
    this.#events[i] = event;
    return event;
  }

  /** Runs events until `isDone`, at most for `limitMs` of virtual time. Whether it was done. */
  async run(limitMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    const endMs = this.nowMs + limitMs;
    await settle();
    while (!isDone()) {
      const event = this.#events.at(-1);
      if (event === undefined || event.atMs > endMs) {
        this.nowMs = endMs;
        return false;
      }
      this.#events.pop();
      if (event.cancelled) continue;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      event.task();
      await settle();
    }
    return true;
  }

  /** A runtime for the node on `host`, on this world's time and network. */
  runtime(host: string): Runtime {
    const real = nodeRuntime();
    return {
      ...real,
      clock: this.#clock(),
      timers: this.#timers(),
      random: this.#random(),
      diagnostics: { emit: () => {} },
      transport: this.#transport(host),
    };
  }

  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
    for (const connection of [...this.#connections]) {
      if (connection.host === from && connection.peerHost === to && connection.isDialler) connection.cut();
    }
  }

  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`);
  }

  /** Breaks every connection of a host, or all. */
  cut(host?: string): void {
    for (const connection of [...this.#connections]) {
      if (host === undefined || connection.host === host) connection.cut();
    }
  }

  forget(connection: FakeConnection): void {
    this.#connections.delete(connection);
  }

  #clock(): Clock {
    return { wallMs: () => 1_800_000_000_000 + Math.floor(this.nowMs), monotonicMs: () => this.nowMs };
  }

  #timers(): Timers {
    const after = (delayMs: number, task: () => void): Timer => {
      const event = this.at(delayMs, task);
      return {
        cancel: () => {
          event.cancelled = true;
        },
      };
    };
    return {
      soon: (task) => void this.at(0, task),
      after,
      turn: () => new Promise((resolve) => void this.at(0, resolve)),
    };
  }

  #random(): Random {
    return {
      fill: (target) => {
        for (let i = 0; i < target.length; i++) target[i] = this.below(256);
      },
      below: (bound) => this.below(bound),
    };
  }

  #transport(host: string): Transport {
    return {
      isLoopback: (address) => !address.startsWith("far"),
      listen: async (address, _options, accept): Promise<Listener> => {
        const bound = address.endsWith(":0") ? `${host}:${this.#port++}` : address;
        this.#listeners.set(bound, { accept });
        return {
          address: bound,
          close: async () => {
            this.#listeners.delete(bound);
          },
        };
      },
      connect: (address) =>
        new Promise((resolve, reject) => {
          this.at(this.latencyMs, () => {
            const listener = this.#listeners.get(address);
            const to = address.slice(0, address.indexOf(":"));
            if (listener === undefined || this.#blocked.has(`${host}>${to}`)) {
              reject(new FulmarError("CONNECTION_LOST", `nobody answers at ${address}`));
              return;
            }
            const [here, there] = this.pair(host, to);
            listener.accept(there);
            resolve(here);
          });
        }),
    };
  }

  /** Two ends of a new connection. */
  pair(from: string, to: string): [FakeConnection, FakeConnection] {
    const here = new FakeConnection(this, from, to, true);
    const there = new FakeConnection(this, to, from, false);
    here.other = there;
    there.other = here;
    this.#connections.add(here).add(there);
    return [here, there];
  }
}

function later(a: Event, b: Event): boolean {
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}

/** Lets every promise continuation that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One end of a connection in a {@link World}. */
export class FakeConnection implements Connection {
  readonly remote: string;
  readonly host: string;
  readonly peerHost: string;
  readonly isDialler: boolean;
  other: FakeConnection | undefined;
  queuedBytes = 0;
  /** Sees, and may replace or drop, each frame that leaves this end. */
  tamper: ((frame: Uint8Array) => Uint8Array | undefined) | undefined;
  readonly #world: World;
  #handler: ConnectionHandler | undefined;
  #early: Uint8Array[] = [];
  #isClosed = false;
  #frameBytesMax = 4096;
  #lastMs = 0;

  constructor(world: World, host: string, peerHost: string, isDialler: boolean) {
    this.#world = world;
    this.host = host;
    this.peerHost = peerHost;
    this.remote = `${peerHost}:1`;
    this.isDialler = isDialler;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    for (const frame of this.#early.splice(0)) this.#receive(frame);
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return;
    const sent = this.tamper === undefined ? frame : this.tamper(frame);
    if (sent === undefined) return;
    const { faults } = this.#world;
    if (this.#world.chance() < faults.loss) return;
    this.#deliver(sent);
    if (this.#world.chance() < faults.repeat) this.#deliver(sent);
  }

  limitFrames(frameBytesMax: number): void {
    this.#frameBytesMax = frameBytesMax;
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.#end(undefined);
    const { other } = this;
    this.#world.at(Math.max(this.#world.latencyMs, this.#lastMs - this.#world.nowMs), () => other?.end());
  }

  /** The network breaks. */
  cut(): void {
    const cause = new Error("cut");
    this.#end(cause);
    this.other?.end(cause);
  }

  end(cause?: Error): void {
    this.#end(cause);
  }

  /** Brings bytes to this end as if the other had sent them. */
  inject(frame: Uint8Array): void {
    this.#receive(frame.slice());
  }

  #deliver(frame: Uint8Array): void {
    const world = this.#world;
    const { jitterMs } = world.faults;
    let atMs = world.nowMs + world.latencyMs + (jitterMs > 0 ? world.below(jitterMs) : 0);
    if (jitterMs === 0) atMs = Math.max(atMs, this.#lastMs);
    this.#lastMs = Math.max(atMs, this.#lastMs);
    this.queuedBytes += frame.length;
    world.at(atMs - world.nowMs, () => {
      this.queuedBytes -= frame.length;
      this.other?.inject(frame);
      if (this.queuedBytes === 0 && !this.#isClosed) this.#handler?.drained();
    });
  }

  #receive(frame: Uint8Array): void {
    if (this.#isClosed) return;
    if (this.#handler === undefined) {
      this.#early.push(frame);
      return;
    }
    this.#world.delivered++;
    if (frame.length > this.#frameBytesMax) this.cut();
    else this.#handler.frame(frame);
  }

  #end(cause: Error | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#world.forget(this);
    this.#handler?.closed(cause);
  }
}
