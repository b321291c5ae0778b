import { checkOptions, isList, isRevoked } from "../../base/options.js";
import { checkHistory, refusal } from "../check.js";
import { type Dependency, findCycles } from "./cycles.js";
import type { Anomaly, ListStep, ListTransaction } from "./types.js";

/** How a history of transactions on lists is checked. */
export interface ListAppendOptions {
  /** Whether a transaction that began after another had ended must come after it: strict serializability. */
  readonly realTime?: boolean;
  /** The lists as they are at the end, if they were read then: shows appends that were lost. */
  readonly final?: ReadonlyMap<string, readonly number[]>;
}

/**
 * Checks that a history of transactions that append to lists and read them is serializable, after Elle
 * (Kingsbury and Alvaro, VLDB 2020): a list that was read tells the order in which its elements were
 * appended, so the dependencies between transactions follow from what was read, and a history is
 * serializable if and only if they, together, have no cycle. Returns what contradicts it: nothing, if all
 * is well. Time and space in proportion to the history, apart from the search within cycles.
 *
 * @throws FulmarTypeError `INVALID_ARGUMENT`: no history; a transaction without an id; an element appended twice.
 */
export function checkListAppend(
  history: readonly ListTransaction[],
  options: ListAppendOptions = {},
): Anomaly[] {
  checkHistory(history, isTransaction, "transactions on lists");
  checkOptions(options, ["realTime", "final"], "checkListAppend");
  const checker = new ListAppendChecker(history, options);
  return checker.check();
}

const OUTCOMES: readonly unknown[] = ["committed", "aborted", "unknown"];

function isTransaction({ id, outcome, steps }: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof id === "string" && id !== "" && OUTCOMES.includes(outcome) && isList(steps) && steps.every(isStep)
  );
}

function isStep(step: unknown): boolean {
  if (typeof step !== "object" || step === null || isRevoked(step)) return false;
  const { do: kind, list } = step as { readonly do?: unknown; readonly list?: unknown };
  return kind === "append" || (kind === "read" && isList(list));
}

class ListAppendChecker {
  readonly #history: readonly ListTransaction[];
  readonly #options: ListAppendOptions;
  readonly #anomalies: Anomaly[] = [];
  /** Who appended an element, by list and element. */
  readonly #writers = new Map<string, number>();
  /** The longest list that was read of each key. */
  readonly #orders = new Map<string, readonly number[]>();

  constructor(history: readonly ListTransaction[], options: ListAppendOptions) {
    this.#history = history;
    this.#options = options;
  }

  check(): Anomaly[] {
    for (const [index, transaction] of this.#history.entries()) this.#noteAppends(transaction, index);
    for (const transaction of this.#history) this.#checkReads(transaction);
    for (const transaction of this.#history) this.#noteOrders(transaction);
    for (const [key, list] of this.#options.final ?? []) this.#noteOrder(key, list, "the end");
    if (this.#anomalies.length === 0) this.#checkFinal();
    // An order that contradicts itself has no dependencies that would mean anything.
    if (this.#anomalies.length === 0) this.#checkCycles();
    return this.#anomalies;
  }

  #report(kind: Anomaly["kind"], transactions: readonly string[], message: string): void {
    this.#anomalies.push({ kind, transactions, message });
  }

  #noteAppends({ steps }: ListTransaction, index: number): void {
    for (const step of steps) {
      if (step.do !== "append") continue;
      const name = elementName(step.key, step.element);
      if (this.#writers.has(name))
        throw refusal(`${name} is appended twice: a history's elements are unique`);
      this.#writers.set(name, index);
    }
  }

  /** What one transaction read, against itself and against who wrote it. */
  #checkReads(transaction: ListTransaction): void {
    // What a client read that never learnt the outcome may have been taken back with it.
    if (transaction.outcome !== "committed") return;
    const own = new Map<string, number[]>();
    const before = new Map<string, readonly number[]>();
    for (const step of transaction.steps) {
      const appended = own.get(step.key) ?? [];
      if (step.do === "append") {
        own.set(step.key, [...appended, step.element]);
        continue;
      }
      const known = before.get(step.key);
      const expected = known === undefined ? undefined : [...known, ...appended];
      const foreign = step.list.slice(0, Math.max(0, step.list.length - appended.length));
      const isOwnKept = endsWith(step.list, appended);
      if (!isOwnKept || (expected !== undefined && !isEqual(step.list, expected))) {
        this.#report(
          "internal",
          [transaction.id],
          `${transaction.id} reads ${show(step)}, against its own steps`,
        );
      }
      before.set(step.key, foreign);
      this.#checkElements(transaction, step);
    }
  }

  #checkElements(reader: ListTransaction, { key, list }: ListStep & { do: "read" }): void {
    if (new Set(list).size !== list.length) {
      this.#report(
        "duplicate-element",
        [reader.id],
        `${reader.id} reads an element twice in ${key}: ${list.join()}`,
      );
    }
    list.forEach((element, place) => {
      const index = this.#writers.get(elementName(key, element));
      if (index === undefined) {
        this.#report(
          "phantom-element",
          [reader.id],
          `${reader.id} reads ${element} in ${key}, which nobody appended`,
        );
        return;
      }
      const writer = this.#history[index];
      if (writer === reader) return;
      if (writer.outcome === "aborted") {
        this.#report(
          "aborted-read",
          [writer.id, reader.id],
          `${reader.id} reads ${element} of ${writer.id}, aborted`,
        );
      }
      const appends = appendsTo(writer, key);
      const rest = appends.slice(appends.indexOf(element) + 1);
      if (!isEqual(list.slice(place + 1, place + 1 + rest.length), rest)) {
        const message = `${reader.id} reads ${element} in ${key} without what ${writer.id} appended after it`;
        this.#report("intermediate-read", [writer.id, reader.id], message);
      }
    });
  }

  #noteOrders({ id, outcome, steps }: ListTransaction): void {
    if (outcome !== "committed") return;
    const own = new Set<string>();
    for (const step of steps) {
      if (step.do === "append") own.add(elementName(step.key, step.element));
      else {
        const list = step.list.filter((element) => !own.has(elementName(step.key, element)));
        this.#noteOrder(step.key, list, id);
      }
    }
  }

  #noteOrder(key: string, list: readonly number[], reader: string): void {
    const known = this.#orders.get(key) ?? [];
    const [short, long] = list.length <= known.length ? [list, known] : [known, list];
    if (isEqual(short, long.slice(0, short.length))) this.#orders.set(key, long);
    else {
      const message = `${reader} reads ${key} as ${list.join()}, others as ${known.join()}: neither begins the other`;
      this.#report("incompatible-order", [reader], message);
    }
  }

  #checkFinal(): void {
    const { final } = this.#options;
    if (final === undefined) return;
    for (const { id, outcome, steps } of this.#history) {
      if (outcome !== "committed") continue;
      for (const step of steps) {
        if (step.do !== "append" || final.get(step.key)?.includes(step.element) === true) continue;
        this.#report(
          "lost-append",
          [id],
          `${id} appended ${step.element} to ${step.key}, and it is not there`,
        );
      }
    }
  }

  #checkCycles(): void {
    const dependencies = this.#dependencies();
    if (this.#options.realTime === true) dependencies.push(...realTimeOrder(this.#history));
    for (const cycle of findCycles(this.#history.length, dependencies)) {
      const ids = cycle.map(({ from }) => this.#history[from].id);
      const steps = cycle.map(
        ({ from, to, why }) => `${this.#history[from].id} -> ${this.#history[to].id} (${why})`,
      );
      this.#report("cycle", ids, steps.join(", "));
    }
  }

  /** Who must come before whom: write before write, write before read, read before write. */
  #dependencies(): Dependency[] {
    const dependencies: Dependency[] = [];
    const add = (from: number | undefined, to: number | undefined, why: string): void => {
      if (from !== undefined && to !== undefined && from !== to) dependencies.push({ from, to, why });
    };
    for (const [key, order] of this.#orders) {
      const writers = order.map((element) => this.#writers.get(elementName(key, element)));
      for (let i = 1; i < writers.length; i++) add(writers[i - 1], writers[i], `appended to ${key} before`);
    }
    this.#history.forEach((transaction, reader) => {
      if (transaction.outcome !== "committed") return;
      for (const step of transaction.steps) {
        if (step.do !== "read") continue;
        const order = this.#orders.get(step.key) ?? [];
        const place = step.list.filter(
          (element) => this.#writers.get(elementName(step.key, element)) !== reader,
        ).length;
        const last = place === 0 ? undefined : this.#writers.get(elementName(step.key, order[place - 1]));
        add(last, reader, `its append to ${step.key} was read`);
        const next = order
          .slice(place)
          .find((element) => this.#writers.get(elementName(step.key, element)) !== reader);
        if (next !== undefined) {
          add(reader, this.#writers.get(elementName(step.key, next)), `read ${step.key} before the append`);
        }
      }
    });
    return dependencies;
  }
}

/**
 * Real-time order with few edges: from each transaction to those that began after its end and before any
 * other that lies between the two had ended.
 */
function realTimeOrder(history: readonly ListTransaction[]): Dependency[] {
  const dependencies: Dependency[] = [];
  const done = history.map((_, index) => index).filter((index) => history[index].outcome === "committed");
  const byEnd = [...done].sort((a, b) => history[a].end - history[b].end);
  const byBegin = [...done].sort((a, b) => history[a].begin - history[b].begin);
  let frontier: number[] = [];
  let ended = 0;
  for (const index of byBegin) {
    for (; ended < byEnd.length && history[byEnd[ended]].end < history[index].begin; ended++) {
      const latest = byEnd[ended];
      // What ended before this one began is before it by way of it.
      frontier = frontier.filter((earlier) => history[earlier].end >= history[latest].begin);
      frontier.push(latest);
    }
    for (const earlier of frontier)
      dependencies.push({ from: earlier, to: index, why: "ended before the beginning" });
  }
  return dependencies;
}

function elementName(key: string, element: number): string {
  return `${key}\u0000${element}`;
}

function appendsTo({ steps }: ListTransaction, key: string): number[] {
  return steps.flatMap((step) => (step.do === "append" && step.key === key ? [step.element] : []));
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((element, index) => element === b[index]);
}

function endsWith(list: readonly number[], end: readonly number[]): boolean {
  return isEqual(list.slice(Math.max(0, list.length - end.length)), end);
}

function show(step: ListStep & { do: "read" }): string {
  return `${step.key} as ${step.list.join() || "empty"}`;
}
