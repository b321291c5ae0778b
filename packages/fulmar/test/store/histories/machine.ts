import {
  type DiskProfile,
  nodeCryptography,
  type Prng,
  type SimulatedStorage,
  simulatedStorage,
} from "../../../src/testing/index.js";

/** How a machine comes to its end: its process is killed, or its power fails. */
export type Crash = "kill" | "power";

/** A machine that crashes at some operation of its disk, and tells those that wait on it. */
export class Machine {
  readonly storage: SimulatedStorage;
  crashes = 0;
  #moment = 0;
  #isDead = false;
  #died: () => void = () => {};
  #death: Promise<"dead"> = Promise.resolve("dead");

  constructor(seed: number, profile: DiskProfile) {
    this.storage = simulatedStorage({ seed, cryptography: nodeCryptography, profile });
  }

  /** What ends all clients may be followed by the crash before anybody is told that they have ended. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** The next moment. */
  get now(): number {
    return this.#moment;
  }

  /** A moment after all others. */
  moment(): number {
    return this.#moment++;
  }

  /** A store was opened on it again. */
  revive(): void {
    this.#isDead = false;
  }

  /** Begins a life, which ends within `operations` of the disk; `onCrash` is told at once. */
  begin(random: Prng, operations: number, onCrash: (how: Crash) => void = () => {}): void {
    this.revive();
    this.#death = new Promise((resolve) => {
      this.#died = () => resolve("dead");
    });
    let left = random.below(operations);
    const how = random.pick(["kill", "power"] as const);
    this.storage.disk.onOperation = () => {
      if (--left > 0) return;
      this.storage.disk.onOperation = undefined;
      if (how === "kill") this.storage.kill();
      else this.storage.powerCut();
      this.#isDead = true;
      this.crashes++;
      onCrash(how);
      this.#died();
    };
  }

  /** What came of `work`, unless the machine crashes before. */
  orDeath<T>(work: Promise<T>): Promise<T | "dead"> {
    return Promise.race([work, this.#death]);
  }

  /** Runs clients to their end or to that of the machine; `close` is an orderly one. */
  async live(clients: readonly Promise<void>[], close: () => Promise<void>): Promise<void> {
    await this.orDeath(Promise.all(clients));
    this.storage.disk.onOperation = undefined;
    if (this.#isDead) await settled();
    else await close();
    this.storage.restart();
  }
}

/**
 * Whatever was on its way when the machine died has come to where it waits for the machine: what called for the next
 * turn after the restart would live on, with a store that is dead.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Where a program goes no further. */
export function stopped(): Promise<never> {
  return new Promise(() => {});
}
