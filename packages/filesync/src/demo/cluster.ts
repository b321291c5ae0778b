import { mkdir } from "node:fs/promises";
import { NodeProcess } from "./node-process.js";
import type { Workspace } from "./workspace.js";

const START_MS_MAX = 300_000;
/** A condition is asked again at least this often. */
const WAIT_MS_MAX = 5_000;

/** A condition did not come true in time, or cannot any more. */
export class DemoFailure extends Error {
  override readonly name = "DemoFailure";
}

/** The three nodes. The second and third are told only where the first is; they find each other. */
export class Cluster {
  readonly nodes: readonly [NodeProcess, NodeProcess, NodeProcess];
  readonly #signal: AbortSignal;

  constructor(workspace: Workspace, signal: AbortSignal) {
    this.nodes = [
      new NodeProcess("a", workspace),
      new NodeProcess("b", workspace),
      new NodeProcess("c", workspace),
    ];
    this.#signal = signal;
  }

  get trees(): string[] {
    return this.nodes.map(({ tree }) => tree);
  }

  /** Starts all nodes and resolves when each is connected to both others. */
  async start(): Promise<void> {
    const [first, ...others] = this.nodes;
    for (const tree of this.trees) await mkdir(tree, { recursive: true });
    first.start([]);
    const address = await this.firstAddress();
    for (const node of others) node.start([address]);
    await this.until("all nodes are connected to each other", () => this.isConnected(), START_MS_MAX);
  }

  /** Starts a node again after it was killed. */
  async restart(node: NodeProcess): Promise<void> {
    node.start([await this.firstAddress()]);
  }

  firstAddress(): Promise<string> {
    return this.until("the first node listens", () => this.nodes[0].report?.address, START_MS_MAX);
  }

  isConnected(): boolean {
    return this.nodes.every(({ report }) => {
      const connected = report?.peers.filter(({ state }) => state === "connected");
      return (
        connected !== undefined && new Set(connected.map(({ name }) => name)).size === this.nodes.length - 1
      );
    });
  }

  /** Whether all nodes say that they have nothing to do and that their stores are equal. */
  isInStep(): boolean {
    const digests = new Set(this.nodes.map(({ report }) => report?.digest));
    return digests.size === 1 && !digests.has(undefined);
  }

  /** Resolves with the first true outcome of `condition`, which is asked again at every status of a node. */
  async until<T>(what: string, condition: () => T | Promise<T>, timeoutMs: number): Promise<NonNullable<T>> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const changed = this.#change(Math.min(WAIT_MS_MAX, Math.max(1, deadlineMs - performance.now())));
      const outcome = await condition();
      if (outcome !== undefined && outcome !== null && outcome !== false) return outcome;
      this.#assertNoneFailed();
      this.#signal.throwIfAborted();
      if (performance.now() >= deadlineMs) {
        throw new DemoFailure(`after ${Math.round(timeoutMs / 1000)} s it is still not so that ${what}`);
      }
      await changed;
    }
  }

  /** Stops all nodes and rejects if one had to be forced. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    this.#assertNoneFailed();
  }

  killNow(): void {
    for (const node of this.nodes) node.killNow();
  }

  #assertNoneFailed(): void {
    const failure = this.nodes.map((node) => node.failure).find((reason) => reason !== undefined);
    if (failure !== undefined) throw new DemoFailure(failure);
  }

  /** Resolves at the next status of any node, at an abort, or after `timeoutMs`. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#signal.removeEventListener("abort", done);
        for (const off of offs) off();
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      const offs = this.nodes.map((node) => node.onChange(done));
      this.#signal.addEventListener("abort", done);
    });
  }
}
