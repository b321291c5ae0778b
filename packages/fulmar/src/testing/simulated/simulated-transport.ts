import { formatAddress, isLoopbackAddress, isLoopbackHost, parseAddress } from "../../base/address.js";
import { FulmarError } from "../../base/errors.js";
import type {
  Connection,
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
} from "../../base/runtime/interface.js";
import type { SimulatedProcess } from "./process.js";
import type { Scheduled } from "./scheduler.js";
import type { ListeningProgram, SimulatedNetwork } from "./simulated-network.js";

const EVERY_INTERFACE = new Set(["0.0.0.0", "::"]);

/** A {@link SimulatedNetwork} as one process on one host sees it. "127.0.0.1" and "localhost" mean that host. */
export class SimulatedTransport implements Transport {
  readonly #network: SimulatedNetwork;
  readonly #host: string;
  readonly #process: SimulatedProcess;

  constructor(network: SimulatedNetwork, host: string, process: SimulatedProcess) {
    this.#network = network;
    this.#host = host;
    this.#process = process;
  }

  async listen(
    address: string,
    options: ListenOptions,
    accept: (connection: Connection) => void,
  ): Promise<Listener> {
    this.#process.assertAlive();
    const parsed = parseAddress(address);
    const host = this.#hostOf(parsed.host);
    if (host !== this.#host && !EVERY_INTERFACE.has(host)) {
      throw new FulmarError("ADDRESS_INVALID", `${this.#host} has no address ${address}`, { address });
    }
    const port = parsed.port === 0 ? this.#network.newPort(this.#host) : parsed.port;
    const bound = formatAddress(this.#host, port);
    const program: ListeningProgram = { ...options, process: this.#process, accept, connections: 0 };
    this.#network.bind(bound, program);
    return { address: bound, close: async () => this.#network.unbind(bound, program) };
  }

  connect(address: string, options: ConnectOptions): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#process.assertAlive();
      const { host: name, port } = parseAddress(address);
      const host = this.#hostOf(name);
      if (port === 0 || !this.#network.knows(host)) {
        throw new FulmarError("ADDRESS_INVALID", `cannot connect to ${address}`, { address });
      }
      new Dial(
        this.#network,
        this.#host,
        this.#process,
        host,
        formatAddress(host, port),
        options,
        resolve,
        reject,
      );
    });
  }

  isLoopback(address: string): boolean {
    return this.#network.loopback || isLoopbackAddress(address);
  }

  #hostOf(host: string): string {
    return isLoopbackHost(host) ? this.#host : host;
  }
}

/** One attempt to connect: there, and back again. */
class Dial {
  readonly #network: SimulatedNetwork;
  readonly #from: string;
  readonly #process: SimulatedProcess;
  readonly #to: string;
  readonly #address: string;
  readonly #frameBytesMax: number;
  readonly #resolve: (connection: Connection) => void;
  readonly #reject: (cause: Error) => void;
  readonly #timeout: Scheduled;
  #waiting = true;

  constructor(
    network: SimulatedNetwork,
    from: string,
    process: SimulatedProcess,
    to: string,
    address: string,
    options: ConnectOptions,
    resolve: (connection: Connection) => void,
    reject: (cause: Error) => void,
  ) {
    this.#network = network;
    this.#from = from;
    this.#process = process;
    this.#to = to;
    this.#address = address;
    this.#frameBytesMax = options.frameBytesMax;
    this.#resolve = resolve;
    this.#reject = reject;
    const { scheduler } = network;
    const timeout = (): void => this.#fail(`no answer within ${options.timeoutMs} ms`);
    this.#timeout = scheduler.at(scheduler.nowMs + options.timeoutMs, "net timeout", timeout, {
      owner: process,
    });
    this.#travel(from, to, () => this.#knock());
  }

  /** A packet on its way: late on a clogged line, never over a blocked one or to a machine that is down. */
  #travel(from: string, to: string, arrive: () => void, delayed = false): void {
    const { scheduler } = this.#network;
    const link = this.#network.link(from, to);
    const timeMs = delayed ? link.cloggedUntilMs : scheduler.nowMs + link.delayMs();
    scheduler.at(timeMs, `net dial ${from} -> ${to}`, () => {
      if (link.blocked || !this.#network.isUp(to)) return;
      if (link.cloggedUntilMs > scheduler.nowMs) this.#travel(from, to, arrive, true);
      else arrive();
    });
  }

  #knock(): void {
    const program = this.#network.program(this.#address);
    if (!this.#process.alive || !this.#waiting) return;
    if (program === undefined || program.connections >= program.connectionsMax) {
      this.#travel(this.#to, this.#from, () => this.#fail("refused"));
      return;
    }
    const client = { host: this.#from, process: this.#process, frameBytesMax: this.#frameBytesMax };
    const pair = this.#network.pair(client, { host: this.#to, address: this.#address, program });
    program.accept(pair.b);
    this.#travel(this.#to, this.#from, () => {
      if (this.#waiting) this.#resolve(pair.a);
      else pair.a.breakOff(new FulmarError("CONNECTION_LOST", "nobody waits for this connection any more"));
      this.#done();
    });
  }

  #fail(why: string): void {
    if (!this.#waiting) return;
    this.#done();
    this.#reject(
      new FulmarError("CONNECTION_LOST", `cannot connect to ${this.#address}: ${why}`, {
        address: this.#address,
      }),
    );
  }

  #done(): void {
    this.#waiting = false;
    this.#timeout.cancel();
  }
}
