import { describe, expect, it } from "vitest";
import { FulmarError } from "../../src/base/errors.js";
import { ConflictError } from "../../src/store/conflict.js";
import { Contender } from "../../src/store/contender.js";
import { EVERYWHERE, Lines, type Place } from "../../src/store/lines.js";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const bytes = (name: string): Uint8Array => new TextEncoder().encode(name);

/** Lines whose time passes by hand. */
class Rig {
  /** Of the event loop, that were waited for. */
  turns = 0;
  readonly runtime = {
    clock: { monotonicMs: () => this.#nowMs },
    timers: {
      turn: () => {
        this.turns++;
        return turn();
      },
      after: (delayMs: number, task: () => void) => {
        const entry = { atMs: this.#nowMs + delayMs, task };
        this.#tasks.add(entry);
        return { cancel: () => void this.#tasks.delete(entry) };
      },
    },
  };
  readonly lines = new Lines(this.runtime.clock, this.runtime.timers);
  readonly #tasks = new Set<{ readonly atMs: number; readonly task: () => void }>();
  #nowMs = 0;

  join(keys: readonly string[], tookMs = 1, isLast = false): Place {
    return this.lines.join({ keys, tookMs, isLast });
  }

  taken(...names: string[]): string | undefined {
    return this.lines.firstTaken(names.map(bytes));
  }

  get timers(): number {
    return this.#tasks.size;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const entry of [...this.#tasks]) {
      if (entry.atMs <= this.#nowMs && this.#tasks.delete(entry)) entry.task();
    }
  }
}

/** Which of some places have their turn. */
function turnsOf(places: readonly Place[]): number[] {
  return [...places.keys()].filter((index) => places[index].hasTurn);
}

describe("lines", () => {
  it("give those of one key their turns one after the other, whoever leaves", async () => {
    const rig = new Rig();
    const places = Array.from({ length: 4 }, () => rig.join(["a"]));
    const called: number[] = [];
    for (const [index, place] of places.entries()) void place.turn.then(() => called.push(index));
    expect(turnsOf(places)).toEqual([0]);
    places[1].leave();
    expect(turnsOf(places)).toEqual([0]);
    places[0].leave();
    places[0].leave();
    expect(turnsOf(places)).toEqual([2]);
    places[2].leave();
    expect(turnsOf(places)).toEqual([3]);
    await turn();
    expect(called).toEqual([0, 2, 3]);
    places[3].leave();
    expect([rig.lines.isEmpty, rig.timers]).toEqual([true, 0]);
    expect(rig.join(["a"]).hasTurn).toBe(true);
  });

  it("let those of different keys go beside each other, and those of several wait for all", () => {
    const rig = new Rig();
    const places = [rig.join(["a"]), rig.join(["b"]), rig.join(["a", "b"]), rig.join(["b"]), rig.join(["c"])];
    expect(turnsOf(places)).toEqual([0, 1, 4]);
    places[0].leave();
    expect(turnsOf(places)).toEqual([1, 4]);
    places[1].leave();
    expect(turnsOf(places)).toEqual([2, 4]);
    places[2].leave();
    expect(turnsOf(places)).toEqual([3, 4]);
  });

  it("let those that lost again and again go alone, beside lines of their keys", () => {
    const rig = new Rig();
    const places = [rig.join(["a"], 1, true), rig.join(["b"], 1, true), rig.join(["b"]), rig.join(["c"])];
    expect(turnsOf(places)).toEqual([0, 3]);
    places[0].leave();
    expect(turnsOf(places)).toEqual([1, 3]);
  });

  it("pass the turn on when it takes too long", () => {
    const rig = new Rig();
    const places = [
      rig.join(["a"]),
      rig.join(["a"], 30),
      rig.join(["a"]),
      rig.join(["b"], 1, true),
      rig.join(["b"]),
    ];
    rig.advance(49);
    expect(turnsOf(places)).toEqual([0, 3]);
    rig.advance(1);
    expect(turnsOf(places)).toEqual([1, 3]);
    rig.advance(119);
    expect(turnsOf(places)).toEqual([1, 3]);
    rig.advance(1);
    expect(turnsOf(places)).toEqual([2, 3]);
    rig.advance(330);
    expect(turnsOf(places)).toEqual([4]);
  });

  it("tell which key is taken, by whom its turn has come and for as long as that is short", () => {
    const rig = new Rig();
    const first = rig.join(["a", "b"], 1, true);
    rig.join(["b", "c"]);
    expect(rig.taken("x", "c", "b", "a")).toBe("b");
    expect(rig.taken("c", "x")).toBeUndefined();
    rig.advance(49);
    expect(rig.taken("a")).toBe("a");
    rig.advance(1);
    expect([first.hasTurn, rig.taken("a")]).toEqual([true, undefined]);
    rig.join(["d"], 30);
    rig.advance(119);
    expect(rig.taken("d")).toBe("d");
    rig.advance(1);
    expect(rig.taken("d")).toBeUndefined();
  });

  it("have no place for those whose attempts take long, but among those that lost again and again", () => {
    const rig = new Rig();
    expect(rig.join(["a"], 100).hasTurn).toBe(true);
    expect(rig.lines.isEmpty).toBe(true);
    const last = rig.join(["a"], 100, true);
    expect(rig.taken("a")).toBeUndefined();
    const next = rig.join(["b"], 100, true);
    expect(next.hasTurn).toBe(false);
    last.leave();
    expect(next.hasTurn).toBe(true);
  });

  it("let nobody wait behind those whose attempts take long, that lost as often or not", () => {
    const rig = new Rig();
    const long = rig.join(["a"], 100, true);
    const places = [rig.join(["b"], 1, true), rig.join(["c"], 1, true), rig.join(["b"])];
    expect([long.hasTurn, ...turnsOf(places)]).toEqual([true, 0]);
    places[0].leave();
    expect(turnsOf(places)).toEqual([1, 2]);
  });

  it("know whether a loss is at nothing new", () => {
    const rig = new Rig();
    const place = rig.join(["a", "b"]);
    expect([place.covers(["b"], false), place.covers(["c"], false), place.covers([], true)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(rig.join([], 1, true).covers(["a"], true)).toBe(true);
  });
});

describe("who contends", () => {
  function contender(rig: Rig): { one: Contender; lose: (...names: string[]) => Promise<void> } {
    const one = new Contender(rig.lines, rig.runtime, 20, rig.runtime.clock.monotonicMs());
    const lose = async (...names: string[]): Promise<void> => {
      const conflicts = names.map((name) => ({ key: bytes(name), expected: 1, found: 2 }));
      expect(() => one.check({ conflicts: () => conflicts, writtenKeys: () => [] })).toThrow();
      await one.standInLine();
      one.begin({ hasRead: () => false });
    };
    return { one, lose };
  }

  it("keeps its turn when it loses at the same key, and goes to the end for another one", async () => {
    const rig = new Rig();
    const { one, lose } = contender(rig);
    await lose("a");
    const next = rig.join(["a"]);
    await lose("a");
    expect(next.hasTurn).toBe(false);
    const again = lose("a", "b");
    expect(next.hasTurn).toBe(true);
    next.leave();
    await again;
    expect(["a", "b"].map((name) => rig.taken(name))).toEqual(["a", "b"]);
    one.leave();
    expect(rig.lines.isEmpty).toBe(true);
  });

  it("tries again at once after the first loss, and lets the event loop turn after each other one", async () => {
    const rig = new Rig();
    const { lose } = contender(rig);
    await lose("a");
    expect(rig.turns).toBe(0);
    await lose("a");
    await lose("b");
    expect(rig.turns).toBe(2);
  });

  it("stands in the line of those that lost again and again from its fourth loss on", async () => {
    const rig = new Rig();
    const { lose } = contender(rig);
    const isAlone = (): boolean => {
      const place = rig.join([], 1, true);
      const { hasTurn } = place;
      place.leave();
      return !hasTurn;
    };
    const seen: boolean[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) {
      await lose(name);
      seen.push(isAlone());
    }
    expect(seen).toEqual([false, false, false, true, true]);
  });

  it("keeps its turn alone wherever it loses, and remembers where when that is over", async () => {
    const rig = new Rig();
    const { lose } = contender(rig);
    for (const name of ["a", "b", "c", "d"]) await lose(name);
    const next = rig.join([], 1, true);
    const first = lose("e");
    expect(next.hasTurn).toBe(false);
    await first;
    const again = lose("f");
    expect(next.hasTurn).toBe(false);
    rig.advance(500);
    expect(next.hasTurn).toBe(true);
    next.leave();
    await again;
    await lose("g");
    expect(["a", "e", "f", "g"].map((name) => rig.taken(name))).not.toContain(undefined);
  });

  it("gives way to whoever goes alone where that has read, and goes alone next", async () => {
    const rig = new Rig();
    const { one, lose } = contender(rig);
    for (const name of ["a", "b", "c", "d"]) await lose(name);
    one.begin({ hasRead: (key) => bytes("r").every((byte, index) => byte === key[index]) });
    expect([rig.taken("x"), rig.taken("r")]).toEqual([undefined, EVERYWHERE]);
    const { one: other } = contender(rig);
    const check = (name: string): void =>
      other.check({ conflicts: () => [], writtenKeys: () => [bytes(name)] });
    expect(() => check("x")).not.toThrow();
    expect(() => check("r")).toThrow();
    let isNext = false;
    const waiting = other.standInLine().then(() => {
      isNext = true;
    });
    await turn();
    expect(isNext).toBe(false);
    one.leave();
    await waiting;
    other.begin({ hasRead: () => true });
    expect(rig.taken("x")).toBe(EVERYWHERE);
    rig.advance(50);
    expect(rig.taken("x")).toBeUndefined();
  });

  it("gives way to nobody while it goes alone, and does not go alone for giving way at a key", async () => {
    const rig = new Rig();
    rig.join(["k"]);
    const check = (who: Contender): void =>
      who.check({ conflicts: () => [], writtenKeys: () => [bytes("k")] });
    const { one: other } = contender(rig);
    expect(() => check(other)).toThrow();
    void other.standInLine();
    const { one, lose } = contender(rig);
    for (const name of ["a", "b", "c"]) await lose(name);
    expect(() => check(one)).toThrow();
    await lose("d");
    one.begin({ hasRead: () => true });
    expect(() => check(one)).not.toThrow();
  });

  it("stands in 64 lines at most, and in none for what is no key", async () => {
    const rig = new Rig();
    const { one, lose } = contender(rig);
    await one.standInLine();
    expect(rig.lines.isEmpty).toBe(true);
    const names = Array.from({ length: 66 }, (_, index) => `key ${index}`);
    await lose(...names);
    expect(names.filter((name) => rig.taken(name) !== undefined)).toHaveLength(64);
  });

  it("gives way where another one has its turn, and nowhere else", async () => {
    const rig = new Rig();
    const first = rig.join(["a"]);
    const { one } = contender(rig);
    const check = (name: string): void =>
      one.check({ conflicts: () => [], writtenKeys: () => [bytes(name)] });
    expect(() => check("b")).not.toThrow();
    expect(() => check("a")).toThrow();
    const later = one.standInLine();
    expect(rig.join(["a"]).hasTurn).toBe(false);
    first.leave();
    await later;
    expect(() => check("a")).not.toThrow();
  });

  it("gives way in its turn at keys of other lines, until it goes alone", async () => {
    const rig = new Rig();
    const { one, lose } = contender(rig);
    const check = (): void =>
      one.check({ conflicts: () => [], writtenKeys: () => ["a", "b"].map((name) => bytes(name)) });
    await lose("a");
    expect(check).not.toThrow();
    rig.join(["b"]);
    expect(check).toThrow();
    for (let i = 0; i < 3; i++) await lose("a");
    expect(check).not.toThrow();
  });

  it("gives way to nobody once the attempt has taken long", () => {
    const rig = new Rig();
    rig.join(["a"], 90);
    const { one } = contender(rig);
    const check = (): void => one.check({ conflicts: () => [], writtenKeys: () => [bytes("a")] });
    rig.advance(99);
    expect(check).toThrow();
    rig.advance(1);
    expect(check).not.toThrow();
  });

  it("shows what the last attempt met, and other errors as they are", async () => {
    const { one, lose } = contender(new Rig());
    await lose("a");
    const rolledBack = new FulmarError("ROLLED_BACK", "gone");
    expect(one.finalError(rolledBack)).toBe(rolledBack);
    const conflict = { key: "k", expected: 3, found: 4 };
    const shown = { code: "CONFLICT", conflicts: [conflict], details: { attempts: 2 } };
    expect(one.finalError(new ConflictError([conflict]))).toMatchObject(shown);
  });

  it("takes the time of an attempt without that in line", async () => {
    const rig = new Rig();
    const before = [rig.join(["a"]), rig.join(["a"])];
    const { lose } = contender(rig);
    const waited = lose("a");
    rig.advance(40);
    before[0].leave();
    rig.advance(40);
    before[1].leave();
    await waited;
    rig.advance(5);
    await lose("b");
    expect(rig.taken("b")).toBe("b");
  });
});
