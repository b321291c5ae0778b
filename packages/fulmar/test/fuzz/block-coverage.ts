import { type Profiler, Session } from "node:inspector";

/** A stretch of a source that has run. */
export interface Stretch {
  readonly script: string;
  readonly from: number;
  readonly to: number;
}

/** Which stretches of some sources have run, from the engine's own counters. A look costs milliseconds. */
export class BlockCoverage {
  readonly #session = new Session();
  readonly #part: string;
  /** By script: 1 at each character that is known to have run. */
  readonly #known = new Map<string, Uint8Array>();

  #steps = 0;

  /** Only sources whose address holds `part`. */
  constructor(part: string) {
    this.#part = part;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    this.#take();
  }

  /** Characters of source known to have run. */
  get size(): number {
    let size = 0;
    for (const known of this.#known.values()) for (const mark of known) size += mark;
    return size;
  }

  /**
   * How often blocks and functions ran between the last two looks: as good as time, and the same on any machine. What
   * the engine itself does, to search or copy an array for instance, counts as nothing.
   */
  get steps(): number {
    return this.#steps;
  }

  /** What ran since the last look and is not known yet. */
  fresh(): Stretch[] {
    const stretches: Stretch[] = [];
    for (const { scriptId: script, functions } of this.#take()) {
      const ran = paint(functions);
      const known = this.#known.get(script);
      for (let at = 0; at < ran.length; at++) {
        if (ran[at] === 0 || known?.[at] === 1) continue;
        const from = at;
        while (at < ran.length && ran[at] === 1 && known?.[at] !== 1) at++;
        stretches.push({ script, from, to: at });
      }
    }
    return stretches;
  }

  remember(stretches: readonly Stretch[]): void {
    for (const { script, from, to } of stretches) {
      let known = this.#known.get(script) ?? new Uint8Array(to);
      if (known.length < to) {
        const longer = new Uint8Array(2 * to);
        longer.set(known);
        known = longer;
      }
      known.fill(1, from, to);
      this.#known.set(script, known);
    }
  }

  stop(): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  #take(): Profiler.ScriptCoverage[] {
    let scripts: Profiler.ScriptCoverage[] = [];
    // The session lives in this thread, so it answers before the call returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, taken) => {
      if (error !== null) throw error;
      scripts = taken.result.filter(({ url }) => url.includes(this.#part));
    });
    this.#steps = 0;
    for (const { functions } of scripts)
      for (const { ranges } of functions) for (const { count } of ranges) this.#steps += count;
    return scripts;
  }
}

/** 1 at each character that ran: inner ranges come after the outer ones that they correct. */
function paint(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const ends = functions.map(({ ranges }) => ranges[0]?.endOffset ?? 0);
  const ran = new Uint8Array(Math.max(0, ...ends));
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges)
      ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return ran;
}
