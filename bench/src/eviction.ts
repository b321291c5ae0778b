/**
 * `npm run bench:eviction`: hit ratios of the eviction policies on traces that are the same in each run,
 * against OPT (Belady: evict what is used last), and what a step costs. `--help` lists the options.
 */
import { parseArgs } from "node:util";
import {
  createPolicy,
  POLICY_NAMES,
  type PolicyName,
} from "../../packages/fulmar/dist/memory/eviction/create.js";
import { NO_SLOT, type Policy } from "../../packages/fulmar/dist/memory/eviction/policy.js";
import { positiveInteger, runProgram } from "./settings.js";

const USAGE = `usage: npm run bench:eviction -- [options]

  --operations N    steps of each trace (1000000)
  --json            everything as JSON
  --help            this text`;
const KEYS = 100_000;
/** Capacities as parts of the keys. */
const PARTS = [0.01, 0.05, 0.2];
const ENTRY_BYTES = 160;

interface Row {
  readonly trace: string;
  readonly part: number;
  /** Hit ratio of each policy, OPT included. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** Uniform numbers in [0, 1), the same in each run: xorshift32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** Draws keys 0 .. count-1, key k with a chance in proportion to 1 / (k + 1)^skew, in no order. */
function zipf(count: number, skew: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += 1 / (i + 1) ** skew;
    sums[i] = sum;
  }
  return () => {
    const aim = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle] < aim) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** The traces, as the keys that are asked for, one after the other. */
function traces(length: number): Map<string, Uint32Array> {
  const plain = (skew: number): Uint32Array => {
    const draw = zipf(KEYS, skew, generator(7));
    return Uint32Array.from({ length }, draw);
  };
  const scanned = plain(1);
  // A fifth of it is scans: runs of 20,000 keys that nobody asks for otherwise.
  for (let at = 0, key = KEYS; at + 20_000 <= length; at += 100_000) {
    for (let i = 0; i < 20_000; i++) scanned[at + i] = key++;
  }
  const looping = Uint32Array.from({ length }, (_, i) => i % (KEYS / 4));
  const moving = plain(1).map((key, i) => (key + Math.floor(i / (length / 8)) * 7919) % KEYS);
  return new Map([
    ["Zipf 0.9", plain(0.9)],
    ["Zipf 1.0", plain(1)],
    ["Zipf 1.0, a fifth of it scans", scanned],
    ["Zipf 1.0, popularity moves 8 times", moving],
    ["loop over a quarter of the keys", looping],
  ]);
}

/** Runs a trace through a policy with room for `capacity` keys of one size. */
function run(policy: Policy, trace: Uint32Array, capacity: number): number {
  const slots = new Map<number, number>();
  const keys: number[] = [0];
  let hits = 0;
  for (const key of trace) {
    const slot = slots.get(key);
    if (slot !== undefined) {
      hits++;
      policy.touch(slot);
      continue;
    }
    let free = keys.length;
    if (policy.size === capacity) {
      free = policy.victim();
      policy.evict(free);
      slots.delete(keys[free]);
    }
    keys[free] = key;
    slots.set(key, free);
    policy.reserve(free);
    policy.insert(free, ENTRY_BYTES, Math.imul(key + 1, 2654435761) >>> 0);
  }
  return hits / trace.length;
}

/** The same with the key that is used last of all: a heap by next use, whose old items are passed over. */
function runOptimal(trace: Uint32Array, capacity: number): number {
  const nextUse = new Float64Array(trace.length);
  const seen = new Map<number, number>();
  for (let i = trace.length - 1; i >= 0; i--) {
    nextUse[i] = seen.get(trace[i]) ?? Number.POSITIVE_INFINITY;
    seen.set(trace[i], i);
  }
  const due = new Map<number, number>();
  const heap = new Heap();
  let hits = 0;
  for (let i = 0; i < trace.length; i++) {
    const key = trace[i];
    if (due.has(key)) hits++;
    else if (due.size === capacity) {
      let top = heap.pop();
      while (due.get(top.key) !== top.use) top = heap.pop();
      // What is not used again before everything that is there need not enter at all.
      if (top.use < nextUse[i]) {
        heap.push(top);
        continue;
      }
      due.delete(top.key);
    }
    due.set(key, nextUse[i]);
    heap.push({ key, use: nextUse[i] });
  }
  return hits / trace.length;
}

interface Item {
  readonly key: number;
  readonly use: number;
}

/** Greatest use first. */
class Heap {
  readonly #items: Item[] = [];

  push(item: Item): void {
    const items = this.#items;
    let at = items.length;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (items[parent].use >= item.use) break;
      items[at] = items[parent];
      at = parent;
    }
    items[at] = item;
  }

  pop(): Item {
    const items = this.#items;
    const top = items[0];
    const last = items.pop() as Item;
    if (items.length === 0) return top;
    let at = 0;
    for (let child = 1; child < items.length; child = 2 * at + 1) {
      if (child + 1 < items.length && items[child + 1].use > items[child].use) child++;
      if (items[child].use <= last.use) break;
      items[at] = items[child];
      at = child;
    }
    items[at] = last;
    return top;
  }
}

/** By arrival: what `nearest-expiry` does when every key lives equally long and reads do not prolong that. */
class ByArrival implements Policy {
  readonly usesFingerprints = false;
  readonly wordsPerSlot = 0;
  readonly allocatedBytes = 0;
  #queue: number[] = [];
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }
  reserve(): void {}
  insert(slot: number): void {
    this.#queue.push(slot);
  }
  restore(): void {}
  touch(): void {}
  pass(): void {}
  resize(): void {}
  remove(): void {}
  victim(): number {
    return this.#queue[this.#head] ?? NO_SLOT;
  }
  evict(): void {
    if (++this.#head < 65_536) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
  verify(): void {}
}

function create(name: PolicyName | "nearest-expiry"): Policy {
  const random = generator(99);
  return name === "nearest-expiry"
    ? new ByArrival()
    : createPolicy(name, (bound) => Math.floor(random() * bound));
}

const NAMES = [...POLICY_NAMES, "nearest-expiry"] as const;

function measureRatios(length: number): Row[] {
  const rows: Row[] = [];
  for (const [trace, keys] of traces(length)) {
    for (const part of PARTS) {
      const capacity = KEYS * part;
      const ratios: Record<string, number> = { OPT: runOptimal(keys, capacity) };
      for (const name of NAMES) ratios[name] = run(create(name), keys, capacity);
      rows.push({ trace, part, ratios });
    }
  }
  return rows;
}

/** Nanoseconds of processor time for a use, and for an eviction with the insertion that follows: medians of five. */
function measureCost(name: PolicyName, keys: number): { touch: number; evict: number } {
  const touches: number[] = [];
  const evictions: number[] = [];
  for (let round = 0; round < 5; round++) {
    const policy = create(name);
    const random = generator(5);
    policy.reserve(keys);
    for (let slot = 1; slot <= keys; slot++)
      policy.insert(slot, ENTRY_BYTES, Math.imul(slot, 2654435761) >>> 0);
    const order = Uint32Array.from({ length: 2_000_000 }, () => 1 + Math.floor(random() * keys));
    touches.push(timed(order.length, () => order.forEach((slot) => void policy.touch(slot))));
    const churn = (): void => {
      for (let i = 0; i < 1_000_000; i++) {
        const slot = policy.victim();
        policy.evict(slot);
        policy.insert(slot, ENTRY_BYTES, Math.imul(i + keys, 2654435761) >>> 0);
      }
    };
    evictions.push(timed(1_000_000, churn));
  }
  return { touch: middle(touches), evict: middle(evictions) };
}

function timed(count: number, work: () => void): number {
  const before = process.cpuUsage().user;
  work();
  return ((process.cpuUsage().user - before) * 1000) / count;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function printRatios(rows: readonly Row[]): void {
  const names = ["OPT", ...NAMES];
  console.log(`| trace | memory | ${names.join(" | ")} |\n|---|--:|${"--:|".repeat(names.length)}`);
  for (const { trace, part, ratios } of rows) {
    const cells = names.map((name) => (100 * ratios[name]).toFixed(1));
    console.log(`| ${trace} | ${part * 100} % | ${cells.join(" | ")} |`);
  }
}

function main(): void {
  const { values } = parseArgs({
    options: {
      operations: { type: "string", default: "1000000" },
      json: { type: "boolean", default: false },
    },
  });
  const rows = measureRatios(positiveInteger(values.operations, "operations"));
  const costs = POLICY_NAMES.map((name) => ({ name, keys: 1_000_000, ...measureCost(name, 1_000_000) }));
  if (values.json) {
    console.log(JSON.stringify({ rows, costs }, undefined, 2));
    return;
  }
  printRatios(rows);
  console.log("\n| policy, 1,000,000 keys | use, ns | eviction and insertion, ns |\n|---|--:|--:|");
  for (const { name, touch, evict } of costs)
    console.log(`| ${name} | ${touch.toFixed(0)} | ${evict.toFixed(0)} |`);
}

await runProgram(USAGE, main);
