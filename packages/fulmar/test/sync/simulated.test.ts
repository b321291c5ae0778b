import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Store } from "../../src/index.js";
import { type Replicator, replicate } from "../../src/sync/index.js";
import { type SimulatedNode, SimulatedWorld } from "../../src/testing/simulated/index.js";

/** A machine with a durable store that comes back after crashes. */
class Machine {
  readonly node: SimulatedNode;
  readonly #world: SimulatedWorld;
  readonly #peers: readonly string[];
  db: Store<unknown> | undefined;
  sync: Replicator | undefined;
  /** Acknowledged writes: at most one writer for each key, so the newest is what must be there in the end. */
  readonly acknowledged = new Map<string, number>();
  /** Writes whose outcome a crash left open. */
  readonly open = new Map<string, Set<number>>();

  constructor(world: SimulatedWorld, name: string, peers: readonly string[]) {
    this.#world = world;
    this.node = world.node(name);
    this.#peers = peers;
  }

  async start(): Promise<void> {
    const runtime = this.node.alive && this.db === undefined ? this.node.runtime : this.node.restart();
    this.db = await this.#world.complete(open("/data", { runtime }));
    const options = {
      listen: `${this.node.name}:1`,
      peers: this.#peers,
      secret: "0123456789abcdef",
      heartbeatMs: 1000,
      ackTimeoutMs: 300,
      pageBytes: 512,
    };
    this.sync = await this.#world.complete(replicate(this.db, options));
  }

  crash(isPowerCut: boolean): void {
    if (isPowerCut) this.node.powerCut();
    else this.node.kill();
    this.db = undefined;
    this.sync = undefined;
  }

  write(key: string, value: number): void {
    const outcome = this.db?.set(key, value);
    const candidates = this.open.get(key) ?? new Set();
    this.open.set(key, candidates.add(value));
    outcome?.then(
      () => {
        this.acknowledged.set(key, value);
      },
      () => {},
    );
  }
}

describe("replication of durable stores on a simulated network", () => {
  it("T-ID-04: kills, power cuts, partitions, bad links: all converge, no acknowledged write is lost", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
        const { cryptography } = nodeRuntime();
        const link = { loss: 0.02, duplicate: 0.02, reorder: 0.05 };
        const world = new SimulatedWorld({ seed, cryptography, link });
        const prng = world.prng.fork("test");
        const names = ["a", "b", "c"];
        const machines = names.map(
          (name, i) => new Machine(world, name, [`${names[(i + 1) % names.length]}:1`]),
        );
        for (const machine of machines) await machine.start();
        for (let step = 1; step <= 60; step++) {
          const machine = machines[prng.below(machines.length)];
          const dice = prng.below(12);
          if (machine.db === undefined) await machine.start();
          else if (dice < 8) machine.write(`${machine.node.name}${prng.below(5)}`, step);
          else if (dice < 9) machine.crash(prng.below(2) === 0);
          else if (dice < 10) world.network.partition([machine.node.name], names);
          else if (dice < 11) world.network.heal();
          await world.runFor(prng.below(100));
        }
        world.network.heal();
        for (const machine of machines) if (machine.db === undefined) await machine.start();
        const isEqual = (): boolean => new Set(machines.map(({ db }) => db?.digest())).size === 1;
        for (let i = 0; i < 120 && !isEqual(); i++) await world.runFor(1000);
        expect(isEqual()).toBe(true);
        for (const machine of machines) {
          for (const [key, value] of machine.acknowledged) {
            const shown = machines[0].db?.get(key);
            // A later write whose outcome a crash left open may have replaced it.
            const candidates = machine.open.get(key) ?? new Set();
            expect(typeof shown === "number" && shown >= value && candidates.has(shown)).toBe(true);
          }
        }
        for (const { sync, db } of machines) {
          if (sync !== undefined) await world.complete(sync.close());
          if (db !== undefined) await world.complete(db.close());
        }
      }),
      { numRuns: 15 },
    );
  });
});
