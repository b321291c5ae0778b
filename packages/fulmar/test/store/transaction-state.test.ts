import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryEngine, NONE, type Ref } from "../../src/memory/engine.js";
import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { deadlineOf } from "../../src/record/entry.js";
import type { StoreCore } from "../../src/store/core.js";
import { type Isolation, TransactionState } from "../../src/store/transaction-state.js";
import type { Wish } from "../../src/store/wishes.js";
import { Trail } from "../../src/transaction/optimistic/trail.js";
import { entry, quickHash } from "../memory/fixtures.js";

const READS_MAX = 1_000_000;
const ALL = { from: Uint8Array.of(0), to: undefined };
const keyAt = (index: number): Uint8Array => Uint8Array.of(1, index);
const INVALID = expect.objectContaining({ code: "INVALID_ARGUMENT" });
const TOO_LARGE = expect.objectContaining({ code: "TRANSACTION_TOO_LARGE" });
const WRITE = { kind: "write", write: { flags: 0 } } as unknown as Wish;

let engine: MemoryEngine;
let nowMs: number;
/** How often the time was asked for. */
let asked: number;
/** Whether what was pinned is a state of the store still. */
let alive: boolean;

beforeEach(() => {
  engine = createPlainEngine({ hash: quickHash });
  [nowMs, asked, alive] = [100, 0, true];
});

/** A commit of a key, with a deadline or without. */
function commit(version: number, index: number, deadline = Number.POSITIVE_INFINITY): void {
  const bytes = entry(keyAt(index), { seq: version, value: Uint8Array.of(version), deadline });
  engine.put(version, bytes, 0, bytes.length);
  engine.settle(version);
}

/** A transaction on what is committed now. */
function begun(isolation: Isolation = "serializable"): TransactionState {
  const core = {
    engine,
    committer: { trail: new Trail() },
    reader: {
      isLive: (ref: Ref, atMs: number) => deadlineOf(engine.slab(ref), engine.offset(ref)) > atMs,
      nowMs: () => {
        asked++;
        return nowMs;
      },
    },
    userCode: { assertOutside: () => undefined },
    assertOpen: () => undefined,
    finishMerge: () => undefined,
    pin: () => {
      const pin = engine.pin(engine.version);
      const release = (): void => pin.release();
      return {
        version: engine.version,
        takenMs: nowMs,
        release,
        get alive() {
          return alive;
        },
      };
    },
  };
  return new TransactionState({ core: core as unknown as StoreCore<unknown>, isolation });
}

describe("the state of a transaction", () => {
  test("tells whether it has ended", () => {
    const state = begun();
    expect(state.ended).toBe(false);
    state.end();
    expect(state.ended).toBe(true);
  });

  test("is of no use once the log refused what it shows", () => {
    const state = begun();
    state.assertOpen();
    alive = false;
    expect(() => state.assertOpen()).toThrow(expect.objectContaining({ code: "ROLLED_BACK" }));
  });

  test("knows which keys were read, if they are validated", () => {
    commit(1, 1);
    for (const isolation of ["serializable", "snapshot"] as const) {
      const state = begun(isolation);
      state.find(keyAt(1), true);
      state.find(keyAt(2), false);
      const isNoted = isolation === "serializable";
      expect([1, 2].map((index) => state.hasRead(keyAt(index)))).toEqual([isNoted, false]);
      const read = state.trackRange({ from: keyAt(3), to: undefined }, false);
      expect(read !== undefined).toBe(isNoted);
      if (read === undefined) continue;
      read.through(keyAt(4));
      state.closeRange(read);
      read.through(keyAt(5));
      expect([3, 4, 5].map((index) => state.hasRead(keyAt(index)))).toEqual([true, true, false]);
    }
  });

  test("finds a key that was absent, and came since, as one of version 0", () => {
    commit(1, 1);
    const state = begun();
    expect(state.live(state.find(keyAt(2), true))).toBe(NONE);
    commit(2, 2);
    expect(state.conflicts()).toEqual([{ key: keyAt(2), expected: 0, found: 2 }]);
  });

  test("reads so many ranges, and not one more", () => {
    const state = begun();
    const readOne = (): void => {
      const read = state.trackRange(ALL, false);
      if (read !== undefined) state.closeRange(read);
    };
    for (let count = 0; count < READS_MAX; count++) readOne();
    expect(readOne).toThrow(TOO_LARGE);
  });

  test("goes back to its own savepoints only", () => {
    const state = begun();
    expect(() => state.rollbackTo(undefined as never)).toThrow(INVALID);
    state.put(keyAt(1), WRITE);
    const savepoint = state.savepoint();
    expect(savepoint).toEqual({ writes: 1 });
    expect(() => state.rollbackTo(undefined as never)).toThrow(INVALID);
    expect(() => state.rollbackTo({ ...savepoint })).toThrow(INVALID);
    state.put(keyAt(2), WRITE);
    state.rollbackTo(savepoint);
    expect(state.writes.size).toBe(1);
  });
});

describe("what a transaction saw alive", () => {
  const DEADLINE = 200;

  /** A transaction that saw key 1, which has a deadline. */
  function seen(wish?: Wish, isolation?: Isolation): TransactionState {
    commit(1, 1, DEADLINE);
    const state = begun(isolation);
    const ref = state.find(keyAt(1), false);
    expect(state.live(ref)).toBe(ref);
    state.dependOnLife(ref, wish);
    return state;
  }

  test("is a conflict from its deadline on", () => {
    const state = seen();
    nowMs = DEADLINE - 1;
    expect(state.conflicts()).toEqual([]);
    nowMs = DEADLINE;
    expect(state.conflicts()).toEqual([{ key: keyAt(1), expected: 1, found: 0 }]);
  });

  test("is none where the transaction writes it, or saw nothing", () => {
    const state = seen(WRITE);
    state.dependOnLife(state.live(state.find(keyAt(9), false)), undefined);
    nowMs = DEADLINE;
    expect([state.conflicts(), asked]).toEqual([[], 0]);
  });

  test("is none where reads are not validated", () => {
    const state = seen(undefined, "snapshot");
    nowMs = DEADLINE;
    expect([state.conflicts(), asked]).toEqual([[], 0]);
  });

  test("is not asked for beside another conflict, nor without a deadline, and no time then", () => {
    const state = seen();
    commit(2, 2);
    const other = begun();
    const ref = other.find(keyAt(2), true);
    other.dependOnLife(ref, undefined);
    expect([other.conflicts(), asked]).toEqual([[], 0]);
    state.find(keyAt(2), true);
    nowMs = DEADLINE;
    expect([state.conflicts(), asked]).toEqual([[{ key: keyAt(2), expected: 0, found: 2 }], 0]);
  });
});
