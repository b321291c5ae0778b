import { checkHistory } from "../check.js";

/** One operation on one register, as its client saw it. Values are compared with `===`. */
export interface RegisterOperation {
  readonly do: "read" | "write" | "swap";
  /** What a read returned, a write wrote, a swap set. */
  readonly value: unknown;
  /** What a swap expected. */
  readonly expected?: unknown;
  /** Whether a swap was done. Reads and writes are, unless they are `unknown`. */
  readonly done?: boolean;
  /** The client never learnt the outcome: it may have had its effect at any time since, or none at all. */
  readonly unknown?: boolean;
  /** Moments of the call and of the answer, by any clock that all clients share. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Whether a history of one register is linearizable: whether its operations can be put in one order that
 * keeps real time and in which each sees what the ones before it left. The search of Wing and Gong (1993),
 * which remembers where it has been as Lowe does (2017). Exponential at worst in the number of operations
 * that overlap; made for histories in which that is small.
 */
export function isLinearizable(operations: readonly RegisterOperation[], initial: unknown): boolean {
  checkHistory(operations, isOperation, "operations on one register");
  const known = operations.filter((operation) => operation.unknown !== true || operation.do !== "read");
  const sorted = known.sort((a, b) => a.begin - b.begin);
  return new Search(sorted).run(initial);
}

const KINDS: readonly unknown[] = ["read", "write", "swap"];

function isOperation({ do: kind, begin, end }: Readonly<Record<string, unknown>>): boolean {
  return KINDS.includes(kind) && typeof begin === "number" && typeof end === "number";
}

class Search {
  readonly #operations: readonly RegisterOperation[];
  readonly #ends: readonly number[];
  readonly #seen = new Map<unknown, Set<string>>();

  constructor(operations: readonly RegisterOperation[]) {
    this.#operations = operations;
    this.#ends = operations.map(({ end, unknown }) => (unknown === true ? Number.POSITIVE_INFINITY : end));
  }

  run(initial: unknown): boolean {
    const stack: { readonly done: ReadonlySet<number>; readonly state: unknown }[] = [
      { done: new Set(), state: initial },
    ];
    for (let here = stack.pop(); here !== undefined; here = stack.pop()) {
      if (this.#isComplete(here.done)) return true;
      if (!this.#isNew(here.done, here.state)) continue;
      for (const next of this.#candidates(here.done)) {
        const after = apply(this.#operations[next], here.state);
        if (after !== undefined) stack.push({ done: new Set(here.done).add(next), state: after.state });
      }
    }
    return false;
  }

  /** Operations whose outcome nobody knows need not have had one. */
  #isComplete(done: ReadonlySet<number>): boolean {
    return this.#operations.every(({ unknown }, index) => unknown === true || done.has(index));
  }

  #isNew(done: ReadonlySet<number>, state: unknown): boolean {
    const name = [...done].sort((a, b) => a - b).join();
    const names = this.#seen.get(state) ?? new Set();
    this.#seen.set(state, names);
    if (names.has(name)) return false;
    names.add(name);
    return true;
  }

  /** What can come next: whatever began before the first answer that is still missing. */
  *#candidates(done: ReadonlySet<number>): Generator<number> {
    let firstEnd = Number.POSITIVE_INFINITY;
    for (const [index, end] of this.#ends.entries()) if (!done.has(index)) firstEnd = Math.min(firstEnd, end);
    for (const [index, { begin }] of this.#operations.entries()) {
      if (begin > firstEnd) return;
      if (!done.has(index)) yield index;
    }
  }
}

/** The state after an operation, unless it cannot have happened in this one. */
function apply(operation: RegisterOperation, state: unknown): { readonly state: unknown } | undefined {
  const { do: kind, value, expected, done, unknown } = operation;
  if (kind === "write") return { state: value };
  if (kind === "read") return value === state ? { state } : undefined;
  const holds = expected === state;
  if (unknown === true) return { state: holds ? value : state };
  if (holds !== (done === true)) return undefined;
  return { state: holds ? value : state };
}
