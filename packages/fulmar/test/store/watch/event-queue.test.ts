import { describe, expect, test } from "vitest";
import { encodeKey } from "../../../src/keys/key.js";
import type { Shown } from "../../../src/store/watch/changes.js";
import { EventQueue } from "../../../src/store/watch/event-queue.js";

/** What an event takes besides its changes. */
const EVENT_BYTES = 128;
const MANY = { bytes: 1 << 20, commits: 1000 };

function shown(key: string, value: string, sizeBytes: number): Shown<string> {
  const stamp = { hlc: 1, origin: "", seq: 1 };
  const change = { type: "set", key, value, stamp, reason: "written" } as const;
  return { key: encodeKey(key, 100), change, sizeBytes };
}

/** Key and value of each change. */
function pairs(queue: EventQueue<string>): unknown[] | undefined {
  return queue.shift()?.changes.flatMap(({ key, value }) => [key, value]);
}

describe("commits that wait for a consumer", () => {
  test("are as many as its limit says, and each that is taken makes room for one", () => {
    const queue = new EventQueue<string>({ ...MANY, commits: 2 }, false);
    queue.push(1, false, [shown("a", "1", 10)]);
    expect(queue.isFull).toBe(false);
    queue.push(2, true, [shown("b", "2", 10)]);
    expect(queue.isFull).toBe(true);
    expect(queue.shift()).toMatchObject({ version: 1, remote: false });
    expect(queue.isFull).toBe(false);
    queue.push(3, false, []);
    expect(queue.isFull).toBe(true);
    expect([queue.shift()?.remote, queue.shift()?.version, queue.shift()]).toEqual([true, 3, undefined]);
  });

  test("take the bytes of their changes and some of their own, to the byte, until they are taken", () => {
    const queue = new EventQueue<string>({ ...MANY, bytes: 2 * EVENT_BYTES + 30 }, false);
    for (let round = 0; round < 3; round++) {
      queue.push(1, false, [shown("a", "1", 10), shown("b", "1", 10)]);
      queue.push(2, false, [shown("c", "2", 9)]);
      expect(queue.isFull).toBe(false);
      queue.shift();
      queue.push(3, false, [shown("a", "3", 21)]);
      expect(queue.isFull).toBe(true);
      queue.shift();
      queue.shift();
    }
  });

  test.each([false, true])("after a gap, which takes no room from them: coalesce %s", (coalesces) => {
    const queue = new EventQueue<string>({ bytes: EVENT_BYTES, commits: 1 }, coalesces);
    queue.pushGap({ after: 3, through: 7 });
    expect(queue.isFull).toBe(false);
    expect(() => queue.pushGap({ after: 7, through: 8 })).toThrow("a gap comes after everything before it");
    queue.push(8, true, [shown("a", "1", EVENT_BYTES)]);
    expect(queue.isFull).toBe(true);
    expect(queue.shift()).toEqual({ version: 7, remote: false, changes: [], gap: { after: 3, through: 7 } });
    expect(queue.isFull).toBe(true);
    expect(queue.shift()).toMatchObject({ version: 8, remote: true, changes: { length: 1 } });
    expect([queue.isFull, queue.shift()]).toEqual([false, undefined]);
  });

  test("are gone when the queue is cleared, and so is the room that they took", () => {
    for (const coalesces of [false, true]) {
      const queue = new EventQueue<string>({ ...MANY, bytes: 100 }, coalesces);
      queue.push(1, false, [shown("a", "1", 100)]);
      expect(queue.isFull).toBe(true);
      queue.clear();
      expect([queue.isFull, queue.shift()]).toEqual([false, undefined]);
    }
  });
});

describe("commits that become one", () => {
  test("show the latest of each key, in the order in which they were written last", () => {
    const queue = new EventQueue<string>(MANY, true);
    queue.push(1, false, [shown("a", "1", 10), shown("b", "1", 10)]);
    queue.push(2, false, [shown("c", "2", 10)]);
    queue.push(4, false, [shown("a", "4", 10)]);
    expect(queue.shift()).toMatchObject({ version: 4, remote: false, changes: { length: 3 } });
    queue.push(5, false, [shown("b", "5", 10), shown("a", "5", 10)]);
    queue.push(6, false, [shown("b", "6", 10)]);
    expect(pairs(queue)).toEqual(["a", "5", "b", "6"]);
    expect(queue.shift()).toBeUndefined();
  });

  test("are remote if one of them is, and the next are so for themselves", () => {
    const queue = new EventQueue<string>(MANY, true);
    const remotes = [
      [false, true, false],
      [false, false],
      [true, true],
    ].map((all) => {
      for (const [i, remote] of all.entries()) queue.push(i + 1, remote, [shown("a", "1", 10)]);
      return queue.shift()?.remote;
    });
    expect(remotes).toEqual([true, false, true]);
  });

  test("take the bytes of what is left of them, to the byte, however often a key is written", () => {
    const queue = new EventQueue<string>({ bytes: 50, commits: 1 }, true);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) queue.push(i + 1, false, [shown("a", "1", 30), shown("b", "1", 10)]);
      queue.push(11, false, [shown("a", "1", 39)]);
      // Commits are not counted when they become one.
      expect(queue.isFull).toBe(false);
      queue.push(12, false, [shown("b", "1", 11)]);
      expect(queue.isFull).toBe(true);
      queue.shift();
      expect(queue.isFull).toBe(false);
    }
  });
});

test.each([false, true])(
  "a gap comes before nothing that waits, and all goes when cleared: coalesce %s",
  (coalesces) => {
    const queue = new EventQueue<string>(MANY, coalesces);
    queue.push(1, false, [shown("a", "1", 10)]);
    expect(() => queue.pushGap({ after: 1, through: 2 })).toThrow("a gap comes after everything before it");
    queue.clear();
    queue.pushGap({ after: 1, through: 2 });
    queue.clear();
    queue.push(3, false, [shown("b", "3", 10)]);
    expect(queue.shift()?.version).toBe(3);
    expect(queue.shift()).toBeUndefined();
  },
);
