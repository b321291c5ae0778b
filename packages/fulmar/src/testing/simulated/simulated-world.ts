import { crc32 } from "../../base/crc.js";
import type { Cryptography, Runtime } from "../../base/runtime/interface.js";
import { checkChoices, membersOf, refusal } from "../check.js";
import { type ClockOptions, SimulatedClock, SimulatedTimers } from "./clock.js";
import { simulatedCompression } from "./compression.js";
import { type DiskOptions, SimulatedDisk } from "./disk.js";
import type { LinkOptions } from "./link.js";
import { Prng } from "./prng.js";
import { SimulatedProcess } from "./process.js";
import { type RunOptions, type RunResult, Scheduler } from "./scheduler.js";
import { SimulatedFinalization } from "./simulated-finalization.js";
import { SimulatedNetwork } from "./simulated-network.js";
import { NO_DIAGNOSTICS } from "./simulated-storage.js";
import { simulatedThreads } from "./simulated-threads.js";
import { Trace } from "./trace.js";

/** What a simulated machine is like. */
export interface NodeOptions {
  readonly clock?: ClockOptions;
  readonly disk?: Omit<DiskOptions, "seed" | "latency" | "trace">;
  /** Time that an asynchronous disk call takes; 0.05 to 1 ms unless given. */
  readonly diskLatencyMs?: { readonly least: number; readonly most: number };
}

/** What all machines of a world share. */
export interface WorldOptions extends NodeOptions {
  readonly seed: number | string;
  /**
   * The library has none of its own; one whose results depend on its arguments alone keeps runs
   * repeatable.
   */
  readonly cryptography: Cryptography;
  readonly link?: LinkOptions;
  readonly loopback?: boolean;
  /** Keeps the last happenings as text; see {@link Trace.lines}. */
  readonly keepLines?: boolean;
}

const WORLD_OPTIONS: readonly (keyof WorldOptions)[] = [
  "seed",
  "cryptography",
  "link",
  "loopback",
  "keepLines",
  "clock",
  "disk",
  "diskLatencyMs",
];

/**
 * Machines on one virtual clock and one network, all from one seed. Nothing happens unless {@link run} is
 * awaited. Two worlds of equal seeds, in which the same is done, end with equal `trace.hash`.
 */
export class SimulatedWorld {
  readonly prng: Prng;
  readonly trace: Trace;
  readonly scheduler: Scheduler;
  readonly network: SimulatedNetwork;
  readonly options: WorldOptions;
  readonly #nodes = new Map<string, SimulatedNode>();
  #pid = 1000;

  constructor(options: WorldOptions) {
    const members = membersOf(options, WORLD_OPTIONS, "SimulatedWorld");
    if (!members.has("cryptography"))
      throw refusal("SimulatedWorld: options must have seed and cryptography");
    checkChoices(members, { loopback: [true, false], keepLines: [true, false] });
    this.options = options;
    this.prng = new Prng(options.seed);
    this.trace = new Trace({ keepLines: options.keepLines ?? false });
    this.scheduler = new Scheduler(this.trace);
    this.network = new SimulatedNetwork({
      scheduler: this.scheduler,
      prng: this.prng.fork("network"),
      link: options.link ?? {},
      loopback: options.loopback ?? true,
    });
  }

  /** The machine of that name; made, and started, when first asked for. */
  node(name: string, options: NodeOptions = {}): SimulatedNode {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = new SimulatedNode(this, name, { ...this.options, ...options });
      this.#nodes.set(name, node);
    }
    return node;
  }

  nodes(): SimulatedNode[] {
    return [...this.#nodes.values()];
  }

  newPid(): number {
    return ++this.#pid;
  }

  run(options?: RunOptions): Promise<RunResult> {
    return this.scheduler.run(options);
  }

  runFor(durationMs: number): Promise<RunResult> {
    return this.scheduler.runFor(durationMs);
  }

  /** Runs until `promise` settles; see {@link Scheduler.complete}. */
  complete<T>(promise: Promise<T>, options?: RunOptions): Promise<T> {
    return this.scheduler.complete(promise, options);
  }
}

/** A machine: a disk and a clock that outlive its processes, and one process at a time. */
export class SimulatedNode {
  readonly name: string;
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  readonly #world: SimulatedWorld;
  #process: SimulatedProcess;
  #runtime: Runtime;

  constructor(world: SimulatedWorld, name: string, options: NodeOptions) {
    this.#world = world;
    this.name = name;
    const { scheduler, trace } = world;
    const { least = 0.05, most = 1 } = options.diskLatencyMs ?? {};
    this.disk = new SimulatedDisk({
      ...options.disk,
      seed: world.prng.fork(`disk ${name}`),
      latency: most > 0 ? { scheduler, leastMs: least, mostMs: most } : undefined,
      trace,
    });
    this.clock = new SimulatedClock(scheduler, options.clock);
    this.#process = new SimulatedProcess(name, world.newPid());
    this.#runtime = this.#newRuntime();
  }

  /** The surroundings of the present process; its calls are refused once that is dead. */
  get runtime(): Runtime {
    return this.#runtime;
  }

  get process(): SimulatedProcess {
    return this.#process;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  /**
   * kill -9: timers, handles, locks and connections are gone, the peers hear of it, the disk keeps all
   * that was written.
   */
  kill(): void {
    this.#world.trace.note(`kill ${this.name}`, this.#process.pid);
    this.#process.kill();
  }

  /** The machine stops: peers hear nothing, the disk keeps a random legal subset of what was not synced. */
  powerCut(): void {
    this.#world.trace.note(`power cut ${this.name}`, this.#process.pid);
    this.#process.kill({ silent: true });
    this.disk.powerCut();
  }

  /** Nothing of this machine runs for so long: a virtual machine that was suspended. */
  freeze(durationMs: number): void {
    this.#process.freeze(this.#world.scheduler.nowMs + durationMs);
  }

  /** A new process on the same disk; kills what still runs. */
  restart(): Runtime {
    this.#process.kill();
    this.#process = new SimulatedProcess(this.name, this.#world.newPid());
    this.#runtime = this.#newRuntime();
    return this.#runtime;
  }

  #newRuntime(): Runtime {
    const process = this.#process;
    const timers = new SimulatedTimers(this.#world.scheduler, this.clock, process);
    return {
      clock: this.clock,
      timers,
      random: this.#world.prng.fork(`random ${this.name} ${process.pid}`),
      checksum: { crc32 },
      cryptography: this.#world.options.cryptography,
      compression: simulatedCompression(timers),
      diagnostics: NO_DIAGNOSTICS,
      fileSystem: this.disk.fileSystem(process),
      transport: this.#world.network.endpoint(this.name, process),
      threads: simulatedThreads(timers),
      finalization: new SimulatedFinalization(),
    };
  }
}
