import { checkHistory } from "../check.js";

/** One operation on one register, as its client saw it. Values are compared with `===`; `undefined` is one, too. */
export interface RegisterOperation {
  /**
   * `expire` is the deadline of a value that comes: a register that holds `value` holds `undefined` from then on, any
   * other stays as it is. A deletion is a `write` of `undefined`, the creation of what is absent a `swap` for it.
   */
  readonly do: "read" | "write" | "swap" | "expire";
  /** What a read returned, a write wrote, a swap set, or what expired. */
  readonly value: unknown;
  /** What a swap expected. */
  readonly expected?: unknown;
  /** Whether a swap was done. Everything else is, unless it is `unknown`. */
  readonly done?: boolean;
  /** The client never learnt the outcome: it may have had its effect at any time since, or none at all. */
  readonly unknown?: boolean;
  /** The last moment at which something `unknown` can have had its effect, such as that of the crash that ended it. */
  readonly until?: number;
  /** Moments of the call and of the answer, by any clock that all clients share. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Whether a history of one register is linearizable: whether its operations can be put in one order that
 * keeps real time and in which each sees what the ones before it left. The search of Wing and Gong (1993),
 * which remembers where it has been as Lowe does (2017). Exponential at worst in the number of operations
 * that overlap; made for histories in which that is small. What is unknown without an `until` overlaps with
 * all that follows it.
 *
 * @example
 * ```ts
 * import { isLinearizable } from "fulmar/testing";
 *
 * const set = { do: "write", value: 1, begin: 0, end: 3 } as const;
 * const expiry = { do: "expire", value: 1, begin: 4, end: 4 } as const;
 * const read = (value: unknown, begin: number) => ({ do: "read", value, begin, end: begin + 1 }) as const;
 * console.log(isLinearizable([set, read(1, 1), expiry, read(undefined, 5)], undefined)); // true
 * console.log(isLinearizable([set, read(1, 1), expiry, read(1, 5)], undefined)); // false
 *
 * const lost = { ...set, unknown: true, until: 4 }; // the crash was at 4
 * console.log(isLinearizable([lost, read(undefined, 5), read(1, 7)], undefined)); // false
 * ```
 *
 * @throws FulmarTypeError `INVALID_ARGUMENT`: no history; an operation of another kind, or without its moments.
 */
export function isLinearizable(operations: readonly RegisterOperation[], initial: unknown): boolean {
  checkHistory(operations, isOperation, "operations on one register");
  const known = operations.filter((operation) => operation.unknown !== true || operation.do !== "read");
  const sorted = known.sort((a, b) => a.begin - b.begin);
  return new Search(sorted).run(initial);
}

const KINDS: readonly unknown[] = ["read", "write", "swap", "expire"];

function isOperation({ do: kind, begin, end, until }: Readonly<Record<string, unknown>>): boolean {
  const isBounded = until === undefined || typeof until === "number";
  return KINDS.includes(kind) && typeof begin === "number" && typeof end === "number" && isBounded;
}

/** How far a search is: which operations are behind it, and what they left. */
interface Place {
  /** All operations before this one are behind it: they were, or can be no more. */
  readonly first: number;
  /** Those from there on that were, in order. */
  readonly others: readonly number[];
  /** When the last one began: what must have been over by then cannot follow any more. */
  readonly latestBegin: number;
  readonly state: unknown;
}

class Search {
  readonly #operations: readonly RegisterOperation[];
  /** The last moment at which each can be; of an unknown one it may be never. */
  readonly #ends: readonly number[];
  readonly #seen = new Map<unknown, Set<string>>();

  constructor(operations: readonly RegisterOperation[]) {
    this.#operations = operations;
    this.#ends = operations.map(({ end, unknown, until }) =>
      unknown === true ? (until ?? Number.POSITIVE_INFINITY) : end,
    );
  }

  run(initial: unknown): boolean {
    const stack: Place[] = [{ first: 0, others: [], latestBegin: Number.NEGATIVE_INFINITY, state: initial }];
    for (let here = stack.pop(); here !== undefined; here = stack.pop()) {
      if (this.#isComplete(here)) return true;
      if (!this.#isNew(here)) continue;
      for (const next of this.#candidates(here)) {
        const after = apply(this.#operations[next], here.state);
        if (after !== undefined) stack.push(this.#step(here, next, after.state));
      }
    }
    return false;
  }

  #isOptional(index: number): boolean {
    return this.#operations[index].unknown === true;
  }

  /** Operations whose outcome nobody knows need not have had one. */
  #isComplete({ first, others }: Place): boolean {
    for (let index = first; index < this.#operations.length; index++) {
      if (!this.#isOptional(index) && !others.includes(index)) return false;
    }
    return true;
  }

  /** Where operations end in order, the place is told by few numbers, however long the history is. */
  #isNew({ first, others, state }: Place): boolean {
    const name = `${first}:${others.join()}`;
    const names = this.#seen.get(state) ?? new Set();
    this.#seen.set(state, names);
    if (names.has(name)) return false;
    names.add(name);
    return true;
  }

  /** What can come next: whatever began before the first answer that is still missing. */
  #candidates({ first, others, latestBegin }: Place): number[] {
    const candidates: number[] = [];
    let firstEnd = Number.POSITIVE_INFINITY;
    for (let index = first; index < this.#operations.length; index++) {
      if (this.#operations[index].begin > firstEnd) break;
      if (others.includes(index) || this.#isOver(index, latestBegin)) continue;
      candidates.push(index);
      if (!this.#isOptional(index)) firstEnd = Math.min(firstEnd, this.#ends[index]);
    }
    // The first to begin is the last to be pushed, and so the first to be tried: mostly it was the first.
    return candidates.filter((index) => this.#operations[index].begin <= firstEnd).reverse();
  }

  /** Whether it was not, and can be no more. */
  #isOver(index: number, latestBegin: number): boolean {
    return this.#isOptional(index) && this.#ends[index] < latestBegin;
  }

  #step(here: Place, next: number, state: unknown): Place {
    const latestBegin = Math.max(here.latestBegin, this.#operations[next].begin);
    const others = [...here.others, next].sort((a, b) => a - b);
    let first = here.first;
    for (; first < this.#operations.length; first++) {
      if (others[0] === first) others.shift();
      else if (!this.#isOver(first, latestBegin)) break;
    }
    return { first, others, latestBegin, state };
  }
}

/** The state after an operation, unless it cannot have happened in this one. */
function apply(operation: RegisterOperation, state: unknown): { readonly state: unknown } | undefined {
  const { do: kind, value, expected, done, unknown } = operation;
  if (kind === "write") return { state: value };
  if (kind === "read") return value === state ? { state } : undefined;
  if (kind === "expire") return { state: value === state ? undefined : state };
  const holds = expected === state;
  if (unknown === true) return { state: holds ? value : state };
  if (holds !== (done === true)) return undefined;
  return { state: holds ? value : state };
}
