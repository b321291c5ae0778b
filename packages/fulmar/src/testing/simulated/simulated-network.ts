import { FulmarError } from "../../base/errors.js";
import type { Connection, Transport } from "../../base/runtime/interface.js";
import { ConnectionHalf, type ConnectionWorld } from "./connection-half.js";
import { Link, type LinkOptions } from "./link.js";
import type { Prng } from "./prng.js";
import type { SimulatedProcess } from "./process.js";
import type { Scheduler } from "./scheduler.js";
import { SimulatedTransport } from "./simulated-transport.js";

/** What a simulated network is like. */
export interface NetworkOptions {
  readonly scheduler: Scheduler;
  readonly prng: Prng;
  /** How links behave until {@link SimulatedNetwork.setLink} says otherwise. */
  readonly link?: LinkOptions;
  /**
   * Whether programs may take the network for the inside of one machine, so that no secret is asked for;
   * true unless given.
   */
  readonly loopback?: boolean;
}

/** A program that waits for connections. */
export interface ListeningProgram {
  readonly process: SimulatedProcess;
  readonly connectionsMax: number;
  readonly frameBytesMax: number;
  readonly accept: (connection: Connection) => void;
  connections: number;
}

interface Pair {
  readonly a: ConnectionHalf;
  readonly b: ConnectionHalf;
}

/**
 * A network between named hosts. Promised without faults: frames of a connection arrive whole, once and in
 * order, after the link's delay. Every direction between two hosts draws from a stream of its own.
 *
 * Partitions swallow what is sent; a connection that lost something breaks when the line heals, and until
 * then
 * each side knows only what its own timeouts tell. A clogged line delivers later, and loses nothing. The
 * death
 * of a process resets its connections; the death of a machine tells nobody, until it is up again and hears
 * of them.
 */
export class SimulatedNetwork implements ConnectionWorld {
  readonly scheduler: Scheduler;
  readonly loopback: boolean;
  readonly #prng: Prng;
  readonly #defaults: LinkOptions;
  readonly #links = new Map<string, Link>();
  readonly #hosts = new Map<string, { up: boolean; nextPort: number }>();
  readonly #programs = new Map<string, ListeningProgram>();
  readonly #pairs = new Set<Pair>();

  constructor(options: NetworkOptions) {
    this.scheduler = options.scheduler;
    this.loopback = options.loopback ?? true;
    this.#prng = options.prng;
    this.#defaults = options.link ?? {};
  }

  /** The network as a process on `host` sees it; the host is up from now until a silent death. */
  endpoint(host: string, process: SimulatedProcess): Transport {
    const known = this.#hosts.get(host);
    if (known === undefined) this.#hosts.set(host, { up: true, nextPort: 40_000 });
    else known.up = true;
    process.onKill(() => this.#leave(host, process));
    return new SimulatedTransport(this, host, process);
  }

  /** One direction between two hosts. */
  link(from: string, to: string): Link {
    const name = `${from} -> ${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = new Link(this.#prng.fork(name), this.#defaults);
      this.#links.set(name, link);
    }
    return link;
  }

  /** Changes some of the habits of one direction. */
  setLink(from: string, to: string, options: LinkOptions): void {
    const link = this.link(from, to);
    link.options = { ...link.options, ...options };
  }

  /** Nothing gets from any of `from` to any of `to`, nor back unless `oneWay`. */
  partition(
    from: readonly string[],
    to: readonly string[],
    options: { readonly oneWay?: boolean } = {},
  ): void {
    for (const a of from) {
      for (const b of to) {
        if (a === b) continue;
        this.link(a, b).blocked = true;
        if (options.oneWay !== true) this.link(b, a).blocked = true;
      }
    }
  }

  /** Ends all partitions and clogs; connections that lost something meanwhile break. */
  heal(): void {
    for (const link of this.#links.values()) {
      link.blocked = false;
      link.cloggedUntilMs = 0;
    }
    for (const { a, b } of [...this.#pairs]) {
      if (!a.broken && !b.broken) continue;
      const cause = (half: ConnectionHalf): FulmarError =>
        new FulmarError("CONNECTION_LOST", `the connection to ${half.remote} did not outlive a partition`);
      a.fail(cause(a));
      b.fail(cause(b));
    }
  }

  /** One direction delivers nothing for so long, and then everything. */
  clog(from: string, to: string, durationMs: number): void {
    this.link(from, to).cloggedUntilMs = this.scheduler.nowMs + durationMs;
  }

  /** Breaks every connection between two hosts: both sides hear of it, what was under way never arrives. */
  cut(first: string, second: string): void {
    for (const { a, b } of [...this.#pairs]) {
      const hosts = [a.host, b.host];
      if (!hosts.includes(first) || !hosts.includes(second) || (first !== second && a.host === b.host))
        continue;
      for (const half of [a, b]) half.fail(new FulmarError("CONNECTION_LOST", `${half.remote}: cut`));
    }
  }

  /** Connections of which at least one side is not over. */
  get connections(): number {
    return this.#pairs.size;
  }

  isUp(host: string): boolean {
    return this.#hosts.get(host)?.up ?? false;
  }

  knows(host: string): boolean {
    return this.#hosts.has(host);
  }

  /** A port of `host` that nothing used before. */
  newPort(host: string): number {
    const known = this.#hosts.get(host);
    return known === undefined ? 0 : known.nextPort++;
  }

  program(address: string): ListeningProgram | undefined {
    return this.#programs.get(address);
  }

  bind(address: string, program: ListeningProgram): void {
    if (this.#programs.has(address)) {
      throw new FulmarError("ADDRESS_IN_USE", `another program listens on ${address}`, { address });
    }
    this.#programs.set(address, program);
  }

  unbind(address: string, program: ListeningProgram): void {
    if (this.#programs.get(address) === program) this.#programs.delete(address);
  }

  /** Makes both sides of a connection that `program` accepts. */
  pair(
    client: { readonly host: string; readonly process: SimulatedProcess; readonly frameBytesMax: number },
    server: { readonly host: string; readonly address: string; readonly program: ListeningProgram },
  ): Pair {
    const { program } = server;
    const ended = (): void => {
      if (a.over && b.over) this.#pairs.delete(pair);
    };
    const a = new ConnectionHalf(this, {
      ...client,
      remote: server.address,
      link: this.link(client.host, server.host),
      ended,
    });
    const b = new ConnectionHalf(this, {
      host: server.host,
      process: program.process,
      frameBytesMax: program.frameBytesMax,
      remote: `${client.host}:${this.newPort(client.host)}`,
      link: this.link(server.host, client.host),
      ended: () => {
        program.connections--;
        ended();
      },
    });
    program.connections++;
    ConnectionHalf.join(a, b);
    const pair = { a, b };
    this.#pairs.add(pair);
    return pair;
  }

  #leave(host: string, process: SimulatedProcess): void {
    const known = this.#hosts.get(host);
    if (known !== undefined && process.silent) known.up = false;
    for (const [address, program] of this.#programs) {
      if (program.process === process) this.#programs.delete(address);
    }
  }
}
