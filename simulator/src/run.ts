import { type Cryptography, Prng, SimulatedWorld } from "fulmar/testing";
import { Member, type MemberContext } from "./member.js";
import { fail, Oracle } from "./oracle.js";
import { type Scenario, scenarioOf } from "./scenario.js";

/** Virtual time within which a healed cluster must have converged, in ms. */
const CONVERGENCE_MS_MAX = 300_000;
const DOWN_MS_MAX = 4000;

/** What a run of one seed did. */
export interface RunReport {
  readonly seed: string;
  readonly scenario: Scenario;
  /** Equal for two runs of one seed with the same code. */
  readonly trace: string;
  readonly issued: number;
  readonly acknowledged: number;
  readonly convergedMs: number;
  readonly error?: Error;
}

/**
 * Runs a cluster of three through the faults of one seed, heals it, and checks that it converged to the last
 * writer's values with nothing lost, nothing invented and nothing ever seen by half.
 */
export async function runSeed(seed: string, cryptography: Cryptography): Promise<RunReport> {
  const scenario = scenarioOf(new Prng(`${seed}/scenario`));
  const world = new SimulatedWorld({ seed, cryptography, link: scenario.link });
  const oracle = new Oracle();
  const run = new Run(world, scenario, oracle);
  let error: Error | undefined;
  try {
    await run.complete();
  } catch (cause) {
    error = cause instanceof Error ? cause : new Error(String(cause));
  }
  const { issued, acknowledged } = oracle;
  const base = {
    seed,
    scenario,
    trace: String(world.trace.hash),
    issued,
    acknowledged,
    convergedMs: run.convergedMs,
  };
  return error === undefined ? base : { ...base, error };
}

class Run {
  readonly #world: SimulatedWorld;
  readonly #scenario: Scenario;
  readonly #oracle: Oracle;
  readonly #members: Member[];
  readonly #prng: Prng;
  #failure: unknown;
  convergedMs = 0;

  constructor(world: SimulatedWorld, scenario: Scenario, oracle: Oracle) {
    this.#world = world;
    this.#scenario = scenario;
    this.#oracle = oracle;
    this.#prng = world.prng.fork("faults");
    const report = (error: unknown): void => {
      this.#failure ??= error;
    };
    const context: MemberContext = { world, scenario, oracle, report };
    this.#members = scenario.clockOffsetsMs.map((offsetMs, i) => new Member(context, i, offsetMs));
  }

  async complete(): Promise<void> {
    for (const member of this.#members) this.#start(member);
    this.#schedule();
    await this.#until(this.#world.scheduler.nowMs + this.#scenario.durationMs, () => false);
    await this.#converge();
    this.#check();
    await this.#reopen();
  }

  /** Puts every fault, write and read of the run into the queue. */
  #schedule(): void {
    const { writes, powerCuts, kills, wipes, partitions, fullDisks, clockJumps } = this.#scenario;
    const prng = this.#prng;
    this.#repeat(writes, "write", () => this.#write());
    this.#repeat(writes, "read", () => prng.pick(this.#members).read());
    this.#repeat(powerCuts, "power cut", () => this.#crash("power cut"));
    this.#repeat(kills, "kill", () => this.#crash("kill"));
    this.#repeat(wipes, "wipe", () => this.#wipe());
    this.#repeat(partitions, "partition", () => this.#partition());
    this.#repeat(fullDisks, "full disk", () => this.#fillDisk());
    this.#repeat(clockJumps, "clock", () =>
      prng.pick(this.#members).machine.clock.jump(prng.below(20_000) - 10_000),
    );
  }

  /** On a member that is up: a run states how many writes it does. */
  #write(): void {
    const up = this.#members.filter((member) => member.up);
    if (up.length > 0) this.#prng.pick(up).write();
    else this.#later(100, "write", () => this.#write());
  }

  #repeat(count: number, label: string, task: () => void): void {
    const { scheduler } = this.#world;
    for (let i = 0; i < count; i++) {
      scheduler.at(1000 + this.#prng.below(this.#scenario.durationMs - 2000), label, () => this.#guard(task));
    }
  }

  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #start(member: Member): void {
    member.start().catch((error: { code?: string }) => {
      if (error.code !== "DISK_FULL") this.#failure ??= error;
      else this.#restart(member);
    });
  }

  #later(delayMs: number, label: string, task: () => void): void {
    const { scheduler } = this.#world;
    scheduler.at(scheduler.nowMs + delayMs, label, () => this.#guard(task));
  }

  /** Goes down in the middle of a burst of writes: that is when there is something to lose. */
  #crash(kind: "kill" | "power cut"): void {
    const member = this.#prng.pick(this.#members);
    const burst = 1 + this.#prng.below(8);
    const { most } = this.#scenario.diskLatencyMs;
    for (let i = 0; i < burst; i++) this.#later(this.#prng.fraction() * most, "burst", () => member.write());
    this.#later(this.#prng.fraction() * 4 * most, kind, () => {
      member.crash(kind);
      this.#restart(member);
    });
  }

  /** Some time from now, unless it crashes again before. */
  #restart(member: Member): void {
    const { life } = member;
    this.#later(1 + this.#prng.below(DOWN_MS_MAX), "restart", () => {
      if (member.life === life) this.#start(member);
    });
  }

  /** One disk at a time is lost, and only while both others are up, so that somebody can bring it up to date. */
  #wipe(): void {
    const [member, ...others] = this.#prng.shuffle([...this.#members]);
    if (!others.every((other) => other.up)) return;
    member.wipe();
    this.#restart(member);
  }

  #partition(): void {
    const names = this.#prng.shuffle(this.#members.map((member) => member.name));
    const oneWay = this.#prng.chance(0.3);
    this.#world.network.partition([names[0]], names.slice(1), { oneWay });
    this.#later(1000 + this.#prng.below(8000), "heal", () => this.#world.network.heal());
  }

  #fillDisk(): void {
    const { disk } = this.#prng.pick(this.#members).machine;
    const full = disk.faults.add({
      operations: ["write", "create"],
      code: "ENOSPC",
      bytes: this.#prng.below(300),
      times: Number.POSITIVE_INFINITY,
    });
    this.#later(200 + this.#prng.below(3000), "space again", full);
  }

  /** Ends all faults, starts everybody, and waits until all hold the same. */
  async #converge(): Promise<void> {
    const { scheduler, network } = this.#world;
    const begin = scheduler.nowMs;
    network.heal();
    for (const member of this.#members) {
      member.machine.disk.faults.clear();
      for (const other of this.#members)
        network.setLink(member.name, other.name, { loss: 0, reorder: 0, duplicate: 0 });
    }
    const agreed = (): boolean => {
      const digests = this.#members.map((member) => member.digest());
      return digests[0] !== undefined && digests.every((digest) => digest === digests[0]);
    };
    // Looking at every event would cost more than the events.
    let looked = 0;
    let result = false;
    const converged = (): boolean => {
      if (scheduler.nowMs >= looked) {
        looked = scheduler.nowMs + 200;
        result = agreed() && this.#members.every((member) => member.up);
      }
      return result;
    };
    await this.#until(begin + CONVERGENCE_MS_MAX, converged);
    this.convergedMs = Math.round(scheduler.nowMs - begin);
    if (!agreed()) {
      const states = this.#members.map((member) => `${member.name} ${member.digest() ?? "down"}`);
      fail(`not converged ${CONVERGENCE_MS_MAX} ms after the last fault: ${states.join(", ")}`);
    }
  }

  #check(): void {
    for (const member of this.#members) {
      const { db } = member;
      if (db === undefined) fail(`${member.name} is down at the end`);
      this.#oracle.checkNothingLost((key) => db.entry(key, { tombstones: true }), member.name);
      member.read();
    }
  }

  /** What converged is still so after an orderly restart. */
  async #reopen(): Promise<void> {
    const digest = this.#members[0].digest();
    for (const member of this.#members) {
      await this.#world.complete(member.stop());
      await this.#world.complete(member.start());
      // A new address may have been announced; the data itself must be the same.
      if (member.db === undefined) fail(`${member.name} did not start again`);
      this.#oracle.checkNothingLost(
        (key) => member.db?.entry(key, { tombstones: true }),
        `${member.name} reopened`,
      );
    }
    if (digest === undefined) fail("no digest at the end");
    for (const member of this.#members) await this.#world.complete(member.stop());
  }

  async #until(untilMs: number, until: () => boolean): Promise<void> {
    await this.#world.run({ untilMs, until: () => this.#failure !== undefined || until() });
    if (this.#failure !== undefined) throw this.#failure;
  }
}
