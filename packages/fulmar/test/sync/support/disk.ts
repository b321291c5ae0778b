import type { Runtime } from "../../../src/base/runtime/interface.js";
import { open, type Store } from "../../../src/index.js";
import type { ReplicateOptions } from "../../../src/sync/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../../src/testing/index.js";
import type { Cluster, Node } from "./cluster.js";

/** A node of a cluster with a disk, on which its store can be opened again. */
export class DiskNode {
  readonly host: string;
  readonly storage: SimulatedStorage;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, host: string) {
    this.#cluster = cluster;
    this.host = host;
    this.storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
  }

  /** Surroundings on the disk as it is now, with the cluster's time and network. */
  runtime(): Runtime {
    return { ...this.#cluster.world.runtime(this.host), fileSystem: this.storage.runtime.fileSystem };
  }

  open(): Promise<Store<unknown>> {
    return this.#cluster.during(open<unknown>("/data", { runtime: this.runtime() }));
  }

  /** Opens the store and lets it take part. */
  async join(options: ReplicateOptions = {}): Promise<Node> {
    return this.#cluster.addWith(this.host, await this.open(), options);
  }

  /** Closes a store in order, and its part in the cluster. */
  async leave(node: Node): Promise<void> {
    await this.#end(node);
    await this.#cluster.during(node.db.close());
  }

  /** Ends the node's part in the cluster; then the power fails. */
  async powerCut(node: Node): Promise<void> {
    await this.#end(node);
    this.storage.powerCut();
    this.storage.restart();
  }

  async #end(node: Node): Promise<void> {
    await this.#cluster.during(node.sync.close());
    this.#cluster.nodes.splice(this.#cluster.nodes.indexOf(node), 1);
  }
}
