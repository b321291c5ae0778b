import { crc32 } from "../../base/crc.js";
import { FulmarError } from "../../base/errors.js";
import { isMadeBy } from "../../base/options.js";
import type { Cryptography, Diagnostics, Runtime, Transport } from "../../base/runtime/interface.js";
import { membersOf, refusal } from "../check.js";
import { type ClockOptions, SimulatedClock, SimulatedTimers } from "./clock.js";
import { simulatedCompression } from "./compression.js";
import { DISK_OPTIONS, type DiskOptions, SimulatedDisk } from "./disk.js";
import { Prng } from "./prng.js";
import { SimulatedProcess } from "./process.js";
import { Scheduler } from "./scheduler.js";
import { SimulatedFinalization } from "./simulated-finalization.js";
import { simulatedThreads } from "./simulated-threads.js";

function refuse(): never {
  throw new FulmarError("INVARIANT", "this simulated runtime was made without cryptography");
}

/** Stands where a test needs no cryptography; every call throws. */
export const NO_CRYPTOGRAPHY: Cryptography = Object.freeze({
  sha256: refuse,
  hmacSha256: refuse,
  deriveKey: refuse,
  equal: refuse,
  seal: refuse,
  sealInPlace: refuse,
  unseal: refuse,
});

/** Nobody listens. */
export const NO_DIAGNOSTICS: Diagnostics = Object.freeze({ emit: () => {} });

const NO_TRANSPORT: Transport = Object.freeze({
  listen: (address: string) => Promise.reject(noNetwork(address)),
  connect: (address: string) => Promise.reject(noNetwork(address)),
  isLoopback: () => true,
});

function noNetwork(address: string): FulmarError {
  return new FulmarError("ADDRESS_INVALID", `this simulated machine has no network: ${address}`);
}

/** What the machine of a storage test is like. */
export interface StorageOptions extends Omit<DiskOptions, "seed" | "latency"> {
  readonly seed?: number | string;
  /** An existing disk, such as a crash image, in place of an empty one. */
  readonly disk?: SimulatedDisk;
  readonly clock?: ClockOptions;
  readonly cryptography?: Cryptography;
}

const STORAGE_OPTIONS = [...DISK_OPTIONS, "disk", "clock", "cryptography"];

/**
 * One machine for tests of storage: a program on it is awaited as usual, nobody drives a scheduler. Disk calls
 * have their effect at once; `soon` and `turn` run on the real event loop; time is virtual and leaps to the
 * next foreground timer whenever nothing else is ready. Background timers run only as far as
 * {@link advance}, or a foreground timer behind them, takes the time.
 */
export class SimulatedStorage {
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  readonly scheduler: Scheduler;
  readonly #cryptography: Cryptography;
  readonly #prng: Prng;
  #pid = 1000;
  #process: SimulatedProcess;
  #finalization = new SimulatedFinalization();
  #runtime: Runtime;

  constructor(options: StorageOptions = {}) {
    membersOf(options, STORAGE_OPTIONS, "simulatedStorage");
    if (options.disk !== undefined && !isMadeBy(options.disk, SimulatedDisk)) {
      throw refusal("disk must be a SimulatedDisk");
    }
    const { seed = 1, disk, clock, cryptography, ...diskOptions } = options;
    this.#prng = new Prng(seed);
    this.scheduler = new Scheduler(undefined, { selfDriven: true });
    this.disk = disk ?? new SimulatedDisk({ ...diskOptions, seed: this.#prng.fork("disk") });
    this.clock = new SimulatedClock(this.scheduler, clock);
    this.#cryptography = cryptography ?? NO_CRYPTOGRAPHY;
    this.#process = new SimulatedProcess("storage", this.#pid);
    this.#runtime = this.#newRuntime();
  }

  /** The surroundings of the present process. */
  get runtime(): Runtime {
    return this.#runtime;
  }

  get process(): SimulatedProcess {
    return this.#process;
  }

  /** kill -9: what was written stays, what the program held in memory does not. {@link restart} follows. */
  kill(): void {
    this.#process.kill();
  }

  /** The machine stops: the disk keeps a random legal subset of what was not synced. {@link restart} follows. */
  powerCut(): void {
    this.disk.powerCut();
    this.#process.kill({ silent: true });
  }

  /** Kills what still runs and returns the runtime of a new process on the same disk. */
  restart(): Runtime {
    this.#process.kill();
    this.#process = new SimulatedProcess("storage", ++this.#pid);
    this.#runtime = this.#newRuntime();
    return this.#runtime;
  }

  /** Lets virtual time pass, background timers included. */
  async advance(durationMs: number): Promise<void> {
    await this.scheduler.runFor(durationMs);
  }

  /**
   * Garbage collection: everything of which somebody wants to know when nobody can reach it any more is gone now, or
   * that of it for which `isGarbage` says so. Nothing else ever is. Returns how much that was.
   */
  collectGarbage(isGarbage: (target: object) => boolean = () => true): number {
    return this.#finalization.collect(isGarbage);
  }

  #newRuntime(): Runtime {
    const process = this.#process;
    this.#finalization = new SimulatedFinalization();
    const timers = new SimulatedTimers(this.scheduler, this.clock, process);
    return {
      clock: this.clock,
      timers,
      random: this.#prng.fork(`random ${process.pid}`),
      checksum: { crc32 },
      cryptography: this.#cryptography,
      compression: simulatedCompression(timers),
      diagnostics: NO_DIAGNOSTICS,
      fileSystem: this.disk.fileSystem(process),
      transport: NO_TRANSPORT,
      threads: simulatedThreads(timers),
      finalization: this.#finalization,
    };
  }
}

/** A machine whose disk loses, tears and reorders what is not synced; see {@link SimulatedStorage}. */
export function simulatedStorage(options: StorageOptions = {}): SimulatedStorage {
  return new SimulatedStorage(options);
}
