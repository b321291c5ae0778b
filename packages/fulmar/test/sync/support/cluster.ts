import { open, type Store } from "../../../src/index.js";
import { type ReplicateOptions, type Replicator, replicate } from "../../../src/sync/index.js";
import { World } from "./world.js";

/** One node of a {@link Cluster}. */
export interface Node {
  readonly host: string;
  readonly db: Store<unknown>;
  readonly sync: Replicator;
}

/** Real stores and replicators in a virtual world. */
export class Cluster {
  readonly world: World;
  readonly nodes: Node[] = [];
  readonly #options: ReplicateOptions;

  constructor(seed: number, options: ReplicateOptions = {}) {
    this.world = new World(seed);
    this.#options = {
      secret: "0123456789abcdef",
      heartbeatMs: 2000,
      ackTimeoutMs: 500,
      discover: false,
      ...options,
    };
  }

  /** Opens a store and waits while virtual time passes. */
  async add(host: string, options: ReplicateOptions = {}): Promise<Node> {
    return this.addWith(
      host,
      await this.during(open(undefined, { runtime: this.world.runtime(host) })),
      options,
    );
  }

  async addWith(host: string, db: Store<unknown>, options: ReplicateOptions = {}): Promise<Node> {
    const all = { listen: `${host}:1`, ...this.#options, ...options };
    const sync = await this.during(replicate(db, all));
    const node = { host, db, sync };
    this.nodes.push(node);
    return node;
  }

  /** Lets the world run until a promise settles. */
  async during<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.world.run(limitMs, () => settled);
    if (!settled) throw new Error("it did not end in the time given");
    return promise;
  }

  /** Whether all stores hold the same. */
  isEqual(nodes: readonly Node[] = this.nodes): boolean {
    return new Set(nodes.map(({ db }) => db.digest())).size === 1;
  }

  async converge(limitMs = 120_000, nodes: readonly Node[] = this.nodes): Promise<boolean> {
    return this.world.run(limitMs, () => this.isEqual(nodes));
  }

  async close(): Promise<void> {
    for (const { sync } of this.nodes) await this.during(sync.close());
    for (const { db } of this.nodes) await this.during(db.close());
  }
}

/** Waits for connections: every node has at least `count` peers. */
export function areConnected(nodes: readonly Node[], count = 1): boolean {
  return nodes.every(({ sync }) => sync.peers().filter((peer) => peer.state === "connected").length >= count);
}
