/** How many histories of each kind; `npm run histories` raises it. Without it, those that are known and a fresh one. */
const COUNT = Number(process.env.FULMAR_HISTORIES ?? 0);
/** The first of the fresh ones. */
const FRESH = Number(process.env.FULMAR_SEED ?? Date.now() % 2 ** 31);
/** A long run tells after so many how far it is. */
const TOLD_EACH = 1000;

/** The seeds that are known, and fresh ones up to the number that is asked for. */
export function seedsOf(known: readonly number[]): number[] {
  const fresh = Math.max(1, COUNT - known.length);
  return [...known, ...Array.from({ length: fresh }, (_, index) => FRESH + index)];
}

/** What a long run did, in one line. */
export class Tally {
  readonly #what: string;
  readonly #seeds: readonly number[];
  readonly #begin = performance.now();
  readonly #counts = new Map<string, number>();
  #histories = 0;

  constructor(what: string, seeds: readonly number[]) {
    this.#what = what;
    this.#seeds = seeds;
  }

  add(counts: Readonly<Record<string, number>>): void {
    this.#histories++;
    for (const [name, count] of Object.entries(counts)) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    }
    if (this.#histories % TOLD_EACH === 0 && this.#histories < this.#seeds.length) this.tell();
  }

  /** Says nothing in a short run. */
  tell(): void {
    if (COUNT === 0) return;
    const counts = [...this.#counts].map(([name, count]) => `${count} ${name}`).join(", ");
    const seconds = Math.round((performance.now() - this.#begin) / 1000);
    const seeds = `fresh seeds from ${FRESH} on`;
    console.log(`${this.#histories} histories of ${this.#what} (${seeds}): ${counts}, ${seconds} s`);
  }
}
