/**
 * What is expected of a store: `serializable`, that what was committed is as if done one after the other, in an order
 * that keeps real time; `snapshot`, that each transaction reads the state at its beginning, and is refused if and only
 * if somebody has written since what it writes.
 */
export type ScenarioIsolation = "serializable" | "snapshot";

/** What a scenario found, against what the isolation promises. */
export class Outcome {
  readonly wrong: string[] = [];
  readonly #isolation: ScenarioIsolation;

  constructor(isolation: ScenarioIsolation) {
    this.#isolation = isolation;
  }

  equal(what: string, found: number, expected: number): void {
    if (found !== expected) this.wrong.push(`${what}: ${found} instead of ${expected}`);
  }

  commits(who: string, isCommitted: boolean): void {
    if (!isCommitted) this.wrong.push(`${who} was refused`);
  }

  isRefused(who: string, isCommitted: boolean): void {
    if (isCommitted) this.wrong.push(`${who} was committed`);
  }

  /** Of several of which each missed what another wrote, one can be committed; as far as they wrote the same. */
  oneOf(who: string, committed: readonly boolean[]): void {
    const expected = this.#isolation === "serializable" ? 1 : committed.length;
    this.equal(`commits of those ${who}`, committed.filter(Boolean).length, expected);
  }

  onlyIn(isolation: ScenarioIsolation, judge: () => void): void {
    if (isolation === this.#isolation) judge();
  }
}
