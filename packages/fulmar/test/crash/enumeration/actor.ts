import { codeOf } from "../../../src/base/errors.js";
import { type Durability, type OpenOptions, open, type Store, type Written } from "../../../src/index.js";
import type { SimulatedDisk, SimulatedStorage } from "../../../src/testing/index.js";
import { ROOT } from "./machine.js";
import { type Change, type Commit, candidates, type Expectation, readable, type State } from "./oracle.js";
import { record } from "./recorder.js";

/** A disk at one moment of a workload, and what must hold of whatever a crash leaves of it. */
export interface Moment {
  readonly label: string;
  readonly disk: SimulatedDisk;
  readonly expectation: Expectation;
}

type Step = readonly [key: string, value: string | undefined, ttlMs?: number];

/** A program that uses a store, and remembers what it was promised. */
export class Actor {
  readonly storage: SimulatedStorage;
  readonly moments: Moment[] = [];
  readonly #options: OpenOptions<string>;
  /** Commits of earlier lives, if commits are recorded; otherwise this class foretells what they are. */
  #past: Commit[] | undefined;
  #db: Store<string> | undefined;
  #base: State = new Map();
  #commits: Commit[] = [];
  #keptByKill = 0;
  #keptByPower = 0;
  #given = { version: 0, seq: 0, hlc: 0 };

  constructor(storage: SimulatedStorage, options: OpenOptions<string>, records = false) {
    this.storage = storage;
    this.#options = options;
    this.#past = records ? [] : undefined;
    storage.disk.onOperation = (operation, phase) => {
      if (phase === "before" && operation.mutates) this.note(`before ${operation.kind} ${operation.path}`);
    };
  }

  get db(): Store<string> {
    if (this.#db === undefined) throw new Error("the workload has no store open");
    return this.#db;
  }

  /** Keeps the disk as it is now. */
  note(label: string): void {
    this.#look();
    this.moments.push({ label, disk: this.storage.disk.fork(), expectation: this.expectation() });
  }

  expectation(): Expectation {
    return {
      base: this.#base,
      commits: this.#commits.map((commit) => ({ ...commit })),
      keptByKill: this.#keptByKill,
      keptByPower: this.#keptByPower,
      given: { ...this.#given },
      wallMs: this.storage.clock.wallMs(),
      past: this.#past,
    };
  }

  async open(options: OpenOptions<string> = {}): Promise<void> {
    const runtime = this.storage.restart();
    const shape = { codec: "text", runtime, segmentBytes: 65_536 } as const;
    const db = await open<string>(ROOT, { ...shape, ...this.#options, ...options });
    const shown = JSON.stringify([...db.list()].map(({ key, value }) => [key, String(value)]));
    const nowMs = this.storage.clock.wallMs();
    const state = candidates(this.expectation(), db.version).find((each) => readable(each, nowMs) === shown);
    if (state === undefined) throw new Error(`the workload found ${shown}`);
    this.#db = db;
    this.#base = state;
    this.#past &&= [...this.#past, ...this.#commits.filter(({ version }) => (version ?? 0) <= db.version)];
    this.#commits = [];
    if (this.#past !== undefined) record(db, this.#commits);
    this.#keptByKill = db.version;
    this.#keptByPower = db.version;
  }

  /** Writes without waiting; a single change is a `set` or `delete`, several are a batch. */
  write(level: Durability, ...steps: Step[]): Promise<void> {
    const { db } = this;
    const wallMs = this.storage.clock.wallMs();
    const changes = steps.map(([key, value, ttlMs = Number.POSITIVE_INFINITY]): Change => {
      return { key, value, expiresAt: wallMs + ttlMs };
    });
    this.#look();
    const fresh = { version: undefined, rolledBack: false, refused: false };
    const commit: Commit = { changes, level, versionBefore: db.version, ...fresh };
    if (this.#past === undefined && db.status().state === "open") this.#commits.push(commit);
    const done = this.#call(level, steps);
    this.#look();
    return done.then(
      (written) => this.#acknowledged(commit, written),
      (error: unknown) => {
        this.#look();
        const code = codeOf(error);
        if (code === "DISK_FULL" || code === "IO_ERROR") commit.refused = true;
        else if (code !== "DURABILITY_UNKNOWN" && code !== "STORE_FAILED") throw error;
      },
    );
  }

  /**
   * Awaits work of any kind in a program whose commits are recorded. What it commits is told by its result, or it
   * is the commit that writes the value `mark`.
   */
  async did(level: Durability, work: Promise<unknown>, mark?: string): Promise<void> {
    const result = (await work) as Partial<Written> | undefined;
    this.#look();
    const version = result?.version ?? this.#versionOf(mark);
    if (version === undefined) return;
    if (level !== "memory") this.#keptByKill = Math.max(this.#keptByKill, version);
    if (level === "full") this.#keptByPower = Math.max(this.#keptByPower, version);
  }

  #versionOf(mark: string | undefined): number | undefined {
    return this.#commits.find(({ changes }) => changes.some(({ value }) => value === mark))?.version;
  }

  async flush(): Promise<void> {
    const { version } = this.db;
    await this.db.flush();
    this.#keptByPower = Math.max(this.#keptByPower, version);
    this.#keptByKill = Math.max(this.#keptByKill, version);
  }

  /** An orderly end: nothing may be missing. */
  async close(): Promise<void> {
    const { version } = this.db;
    await this.db.close();
    this.#look();
    this.#db = undefined;
    this.#keptByPower = version;
    this.#keptByKill = version;
    this.note("closed");
  }

  /** The process ends without a word. */
  kill(): void {
    this.note("killed");
    this.#db = undefined;
    this.storage.kill();
  }

  /** Writes large values until the log has gone on in `count` further segments. */
  async roll(count: number): Promise<void> {
    let seen = 0;
    for (let i = 0; seen < count; i++) {
      const before = this.db.status().log?.segments ?? 0;
      await this.write("full", [`big ${i % 4}`, `${i}`.padEnd(15_000, "r")]);
      await this.turns(4);
      seen += Math.max(0, (this.db.status().log?.segments ?? 0) - before);
    }
  }

  /** More segments were given names than were made. */
  mustHaveRecycled(): void {
    const [made, named] = ["create", "rename"].map((kind) => {
      return this.moments.filter(({ label }) => label.startsWith(`before ${kind} ${ROOT}/log/`)).length;
    });
    if (named <= made) throw new Error("no segment was used again");
  }

  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.storage.runtime.timers.turn();
  }

  #call(level: Durability, steps: readonly Step[]): Promise<Written<string>> {
    const options = { durability: level };
    const [[key, value, ttl]] = steps as [Step];
    const lifetime = ttl === undefined ? {} : { ttl };
    if (steps.length > 1) {
      const operations = steps.map(([key, value, ttl]) => {
        const lifetime = ttl === undefined ? {} : { ttl };
        if (value === undefined) return { type: "delete", key } as const;
        return { type: "set", key, value, ...lifetime } as const;
      });
      return this.db.batch(operations, options);
    }
    if (value === undefined) return this.db.delete(key, options);
    return this.db.set(key, value, { ...options, ...lifetime });
  }

  #acknowledged(commit: Commit, { version, stamp }: Written<string>): void {
    this.#look();
    this.#given.seq = Math.max(this.#given.seq, stamp.seq);
    if (commit.level === "memory") return;
    this.#keptByKill = Math.max(this.#keptByKill, version);
    if (commit.level === "relaxed") return;
    this.#keptByPower = Math.max(this.#keptByPower, version);
    this.#given.hlc = Math.max(this.#given.hlc, stamp.hlc);
  }

  /** What memory shows tells the versions of new commits, and which ones were taken back. */
  #look(): void {
    if (this.#db === undefined) return;
    const { version } = this.#db;
    this.#given.version = Math.max(this.#given.version, version);
    this.#given.seq = Math.max(this.#given.seq, this.#db.status().nextSeq - 1);
    for (const commit of this.#commits) {
      if (commit.version === undefined && version > commit.versionBefore) commit.version = version;
      else if (commit.version !== undefined && commit.version > version) commit.rolledBack = true;
    }
  }
}
