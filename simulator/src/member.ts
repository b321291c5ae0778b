import { open, type Store } from "fulmar";
import { type Replicator, replicate } from "fulmar/sync";
import type { Prng, SimulatedNode, SimulatedWorld } from "fulmar/testing";
import { codeOf, fail, type IssuedWrite, type Oracle, SimulationFailure } from "./oracle.js";
import { checkEvent, checkPairs, leftKey, rightKey } from "./pairs.js";
import type { Scenario } from "./scenario.js";

/** What an entry has beside its value, at most. */
const ENTRY_OVERHEAD_BYTES = 150;
const SECRET = "a secret of the simulated cluster";
const PORT = 4100;

/** What a member needs to know of the run that it belongs to. */
export interface MemberContext {
  readonly world: SimulatedWorld;
  readonly scenario: Scenario;
  readonly oracle: Oracle;
  /** Ends the run: an error that no fault explains. */
  readonly report: (error: unknown) => void;
}

/** One node of the simulated cluster: a machine, and on it a store that replicates, as long as it is up. */
export class Member {
  readonly name: string;
  readonly machine: SimulatedNode;
  readonly #context: MemberContext;
  readonly #peers: readonly string[];
  readonly #prng: Prng;
  #db: Store<string> | undefined;
  #replicator: Replicator | undefined;
  #storeId = "";
  /** Where the data is; another one after the disk was lost. */
  #directory = "/data";
  /** Counts processes, so that a late continuation of a dead one knows that it is dead. */
  #life = 0;
  #values = 0;

  constructor(context: MemberContext, index: number, clockOffsetMs: number) {
    const { world, scenario } = context;
    this.#context = context;
    this.name = `n${index}`;
    this.#prng = world.prng.fork(`member ${this.name}`);
    this.machine = world.node(this.name, {
      clock: { offsetMs: clockOffsetMs, turnMs: scenario.turnMs },
      disk: { profile: scenario.diskProfile, sectorAtomic: scenario.sectorAtomic },
      diskLatencyMs: scenario.diskLatencyMs,
    });
    // The first two know each other; with discovery the third needs only one of them.
    const known = index === 0 ? [1] : [index - 1];
    this.#peers = known.map((i) => `n${i}:${PORT}`);
  }

  get db(): Store<string> | undefined {
    return this.#db;
  }

  /** Changes with each start and each crash. */
  get life(): number {
    return this.#life;
  }

  /** The disk that it has now. */
  get #disk(): string {
    return `${this.name}:${this.#directory}`;
  }

  get up(): boolean {
    return this.#db !== undefined;
  }

  /** Starts a process: recovery, then replication. After every recovery nothing safe may be missing. */
  async start(): Promise<void> {
    const life = ++this.#life;
    try {
      await this.#run(life);
    } catch (error) {
      // A process that was killed meanwhile may fail in any way.
      if (life === this.#life) throw error;
    }
  }

  async #run(life: number): Promise<void> {
    const { scenario, oracle } = this.#context;
    const runtime = this.machine.restart();
    const db = await open<string>(this.#directory, {
      runtime,
      name: this.name,
      codec: "text",
      segmentBytes: scenario.segmentBytes,
      ...(scenario.mergesInParts ? { limits: { commitBytesMax: pairBytesMax(scenario) } } : {}),
      checkpoint: { everyCommits: scenario.checkpointCommits },
    });
    if (life !== this.#life) return;
    this.#storeId = db.status().storeId;
    oracle.checkNothingLost(
      (key) => db.entry(key, { tombstones: true }),
      `${this.name} after recovery`,
      this.#disk,
    );
    checkPairs(db, scenario.pairs, `${this.name} after recovery`);
    this.#watch(db);
    const replicator = await replicate(db, {
      listen: `${this.name}:${PORT}`,
      peers: this.#peers,
      discover: scenario.topology === "mesh",
      bootstrap: scenario.bootstrap,
      pageBytes: scenario.pageBytes,
      ackTimeoutMs: 1000,
      heartbeatMs: 2000,
      reconnect: { leastMs: 100, mostMs: 2000 },
      ...(scenario.sealed ? { secret: SECRET } : {}),
    });
    if (life !== this.#life) return;
    // Nobody lies here: whatever looks like it is a bug, and so is a broken invariant. Only the handshake
    // counts on the order that TCP keeps: a frame that overtakes it is taken for a violation.
    const { reorder = 0, duplicate = 0 } = scenario.link;
    if (reorder === 0 && duplicate === 0) {
      replicator.on("violation", ({ code, text }) => this.#complain(life, `violation ${code}: ${text}`));
    }
    replicator.on("error", ({ error }) => {
      if (codeOf(error) === "INVARIANT") this.#complain(life, error.message);
    });
    this.#replicator = replicator;
    this.#db = db;
  }

  /** The process or the whole machine is gone at once. */
  crash(kind: "kill" | "power cut"): void {
    this.#life++;
    this.#db = undefined;
    this.#replicator = undefined;
    if (kind === "kill") this.machine.kill();
    else this.machine.powerCut();
  }

  /** The machine loses its disk: what only it had is gone, and it comes back as another writer. */
  wipe(): void {
    this.crash("power cut");
    this.#context.oracle.loseDisk(this.#disk);
    this.#directory = `${this.#directory}-again`;
  }

  async stop(): Promise<void> {
    await this.#replicator?.close();
    await this.#db?.close();
    this.#life++;
    this.#db = undefined;
    this.#replicator = undefined;
  }

  /** Issues one random commit and lets the oracle know how it ends. */
  write(): void {
    const db = this.#db;
    if (db === undefined) return;
    const prng = this.#prng;
    const { scenario } = this.#context;
    const value = `${this.name}:${this.#life}:${this.#values++}:${"x".repeat(prng.below(scenario.valueBytesMax))}`;
    const level = prng.pick(["memory", "relaxed", "full"] as const);
    const deletes = prng.chance(0.2);
    const pair = prng.below(scenario.pairs);
    const keys = prng.chance(0.5)
      ? [leftKey(pair), rightKey(pair)]
      : [["single", prng.below(scenario.singles)]];
    const operations = keys.map((key) =>
      deletes ? ({ type: "delete", key } as const) : ({ type: "set", key, value } as const),
    );
    const { incarnation, nextSeq } = db.status();
    const done = db.batch(operations, { durability: level });
    const { oracle } = this.#context;
    const shown = keys.map((key) => ({ key, entry: db.entry(key, { tombstones: true }) }));
    // By its number, as versions tell nothing here: a full disk may take back what came before it, too.
    const writes = shown.flatMap(({ key, entry }) => {
      if (entry === undefined || entry.stamp.origin !== incarnation || entry.stamp.seq < nextSeq) return [];
      oracle.number(`${this.#storeId} version ${entry.version}`, entry.stamp);
      return oracle.issue(key, entry.stamp, deletes ? undefined : value, this.#disk);
    });
    if (writes.length < keys.length) {
      this.#expectRefusal(done);
      return;
    }
    this.#follow(done, writes, level === "full");
  }

  /** What any reader may do at any moment. */
  read(): void {
    if (this.#db !== undefined) checkPairs(this.#db, this.#context.scenario.pairs, this.name);
  }

  digest(): string | undefined {
    return this.#db?.digest();
  }

  /** Refused before it was applied, or taken back at once: the store is full for the moment, or failed. */
  #expectRefusal(done: Promise<unknown>): void {
    const life = this.#life;
    done.then(
      () => this.#complain(life, "a write was acknowledged that is not shown"),
      () => undefined,
    );
  }

  #follow(done: Promise<unknown>, writes: IssuedWrite[], synced: boolean): void {
    const { oracle } = this.#context;
    const life = this.#life;
    done.then(
      () => {
        // An acknowledgement that a dead process would still have given counts for nothing.
        if (life === this.#life) oracle.acknowledge(writes, synced);
      },
      (error: { code?: string }) => {
        if (life !== this.#life) return;
        if (error.code === "DISK_FULL" || error.code === "IO_ERROR") oracle.refuse(writes);
      },
    );
  }

  /** Unless it is only the voice of a dead process. */
  #complain(life: number, message: string): void {
    if (life === this.#life) this.#context.report(new SimulationFailure(`${this.name}: ${message}`));
  }

  #watch(db: Store<string>): void {
    const { oracle, report } = this.#context;
    const disk = this.#disk;
    db.watch({}, (event) => {
      try {
        checkEvent(event, this.name);
        // A merge is shown once it is synced, anything else once the operating system has it.
        const { logged, synced } = db.status().version;
        if (event.version > (event.remote ? synced : logged))
          fail(`${this.name} showed ${event.version} too early`);
        if (!event.remote) return;
        for (const { key, stamp } of event.changes) oracle.seenElsewhere(key, stamp, this.name, disk);
      } catch (error) {
        report(error);
      }
    });
  }
}

/** The largest commit that a member writes itself. */
function pairBytesMax({ valueBytesMax }: Scenario): number {
  return 2 * (valueBytesMax + ENTRY_OVERHEAD_BYTES);
}
