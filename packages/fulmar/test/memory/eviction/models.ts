import type { PolicyName } from "../../../src/memory/eviction/create.js";

/** What a policy must do, said in the plainest way. */
export interface Model {
  insert(slot: number, bytes: number, fingerprint: number): void;
  restore(slot: number, bytes: number, fingerprint: number): void;
  touch(slot: number): void;
  resize(slot: number, bytes: number): void;
  remove(slot: number): void;
  victim(): number | undefined;
  evict(slot: number): void;
}

const without = (slots: readonly number[], slot: number): number[] => slots.filter((other) => other !== slot);

/** Most recently used first. */
class Lru implements Model {
  #slots: number[] = [];
  insert(slot: number): void {
    this.#slots.unshift(slot);
  }
  restore(slot: number): void {
    this.#slots.push(slot);
  }
  touch(slot: number): void {
    this.#slots = [slot, ...without(this.#slots, slot)];
  }
  resize(): void {}
  remove(slot: number): void {
    this.#slots = without(this.#slots, slot);
  }
  victim(): number | undefined {
    return this.#slots.at(-1);
  }
  evict(slot: number): void {
    this.remove(slot);
  }
}

/** Newest first; `#hand` is an index from the old end, or the number of slots when it is beyond the newest. */
class Sieve implements Model {
  #slots: number[] = [];
  #visited = new Set<number>();
  #hand: number | undefined;
  readonly #stepsMax: number;
  constructor(stepsMax: number) {
    this.#stepsMax = stepsMax;
  }
  insert(slot: number): void {
    this.#slots.unshift(slot);
  }
  restore(slot: number): void {
    const at = this.#hand === undefined ? this.#slots.length : this.#slots.indexOf(this.#hand) + 1;
    this.#slots.splice(at, 0, slot);
    this.#hand = slot;
  }
  touch(slot: number): void {
    this.#visited.add(slot);
  }
  resize(): void {}
  remove(slot: number): void {
    if (this.#hand === slot) this.#hand = this.#slots[this.#slots.indexOf(slot) - 1];
    this.#slots = without(this.#slots, slot);
    this.#visited.delete(slot);
  }
  victim(): number | undefined {
    if (this.#slots.length === 0) return undefined;
    let at = this.#hand === undefined ? this.#slots.length - 1 : this.#slots.indexOf(this.#hand);
    for (let i = 0; i < this.#stepsMax && this.#visited.delete(this.#slots[at]); i++) {
      at = (at + this.#slots.length - 1) % this.#slots.length;
    }
    this.#hand = this.#slots[at];
    return this.#hand;
  }
  evict(slot: number): void {
    this.remove(slot);
  }
}

interface Counted {
  readonly slot: number;
  readonly uses: number;
  readonly priority: number;
  readonly turn: number;
}

class Lfu implements Model {
  #keys: Counted[] = [];
  #floor = 0;
  #turn = 0;
  insert(slot: number): void {
    this.#keys.push({ slot, uses: 1, priority: this.#floor + 1, turn: ++this.#turn });
  }
  restore(slot: number): void {
    this.#keys.push({ slot, uses: 1, priority: this.#floor, turn: -++this.#turn });
  }
  touch(slot: number): void {
    const uses = Math.min(1023, (this.#keys.find((key) => key.slot === slot)?.uses ?? 0) + 1);
    this.remove(slot);
    this.#keys.push({ slot, uses, priority: this.#floor + uses, turn: ++this.#turn });
  }
  resize(): void {}
  remove(slot: number): void {
    this.#keys = this.#keys.filter((key) => key.slot !== slot);
  }
  victim(): number | undefined {
    return this.#keys.toSorted((a, b) => a.priority - b.priority || a.turn - b.turn)[0]?.slot;
  }
  evict(slot: number): void {
    this.#floor = this.#keys.find((key) => key.slot === slot)?.priority ?? 0;
    this.remove(slot);
  }
}

interface Sized {
  readonly slot: number;
  bytes: number;
  readonly fingerprint: number;
}

const bytesOf = (keys: readonly Sized[]): number => keys.reduce((sum, { bytes }) => sum + bytes, 0);

/** Keys used once and again, and what each list lost, newest first. */
class Arc implements Model {
  #kept: [Sized[], Sized[]] = [[], []];
  #lost: [Sized[], Sized[]] = [[], []];
  #capacity = 0;
  #target = 0;
  insert(slot: number, bytes: number, fingerprint: number): void {
    const [once, again] = this.#lost.map(bytesOf);
    const from = this.#forget(fingerprint);
    if (from === 0) this.#target += bytes * Math.max(1, again / once);
    if (from === 1) this.#target -= bytes * Math.max(1, once / again);
    if (from !== undefined) this.#target = Math.min(this.#capacity, Math.max(0, this.#target));
    this.#kept[from === undefined ? 0 : 1].unshift({ slot, bytes, fingerprint });
  }
  restore(slot: number, bytes: number, fingerprint: number): void {
    this.#kept[this.#forget(fingerprint) ?? 0].push({ slot, bytes, fingerprint });
  }
  touch(slot: number): void {
    const key = this.#find(slot);
    this.remove(slot);
    this.#kept[1].unshift(key);
  }
  resize(slot: number, bytes: number): void {
    this.#find(slot).bytes = bytes;
  }
  remove(slot: number): void {
    this.#kept = this.#kept.map((keys) => keys.filter((key) => key.slot !== slot)) as [Sized[], Sized[]];
  }
  victim(): number | undefined {
    const [once, again] = this.#kept;
    const isOnce = once.length > 0 && (again.length === 0 || bytesOf(once) > this.#target);
    return (isOnce ? once : again).at(-1)?.slot;
  }
  evict(slot: number): void {
    const list = this.#kept[0].some((key) => key.slot === slot) ? 0 : 1;
    const key = this.#find(slot);
    this.#capacity = bytesOf(this.#kept.flat());
    this.remove(slot);
    this.#forget(key.fingerprint);
    this.#lost[list].unshift(key);
    const isOnceOver = (): boolean => bytesOf([...this.#kept[0], ...this.#lost[0]]) > this.#capacity;
    while (this.#lost[0].length > 0 && isOnceOver()) this.#lost[0].pop();
    const isOver = (): boolean => bytesOf([...this.#kept, ...this.#lost].flat()) > 2 * this.#capacity;
    while (isOver()) if (this.#lost[1].pop() === undefined) this.#lost[0].pop();
  }
  #find(slot: number): Sized {
    return this.#kept.flat().find((key) => key.slot === slot) as Sized;
  }
  #forget(fingerprint: number): number | undefined {
    const list = this.#lost.findIndex((keys) => keys.some((key) => key.fingerprint === fingerprint));
    if (list < 0) return undefined;
    this.#lost[list] = this.#lost[list].filter((key) => key.fingerprint !== fingerprint);
    return list;
  }
}

/** Takes the first of the slots as they stand after each removal filled its gap with the last. */
class First implements Model {
  #slots: number[] = [];
  insert(slot: number): void {
    this.#slots.push(slot);
  }
  restore(slot: number): void {
    this.insert(slot);
  }
  touch(): void {}
  resize(): void {}
  remove(slot: number): void {
    const last = this.#slots.pop() as number;
    if (last !== slot) this.#slots[this.#slots.indexOf(slot)] = last;
  }
  victim(): number | undefined {
    return this.#slots[0];
  }
  evict(slot: number): void {
    this.remove(slot);
  }
}

export function createModel(name: PolicyName, stepsMax: number): Model {
  switch (name) {
    case "lru":
      return new Lru();
    case "lfu":
      return new Lfu();
    case "arc":
      return new Arc();
    case "sieve":
      return new Sieve(stepsMax);
    case "random":
      return new First();
  }
}
