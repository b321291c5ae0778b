import { expect, test, vi } from "vitest";
import { hashOf } from "../../../src/store/watch/hashing.js";
import { WatchedKeys } from "../../../src/store/watch/watched-keys.js";

function key(index: number): Uint8Array {
  return new TextEncoder().encode(`user:${index}`);
}

/** As long as {@link key}, and another one. */
function unwatched(index: number): Uint8Array {
  return new TextEncoder().encode(`peer:${index}`);
}

/** How many of some keys that nobody watches, as long as others, get past the filter, so that a table is asked. */
function passed(keys: WatchedKeys<number>, from = 0, to = 10_000): number {
  const asked = vi.spyOn(Map.prototype, "get");
  try {
    let wanted = 0;
    for (let i = from; i < to; i++) wanted += Number(keys.some(unwatched(i), () => true));
    expect(wanted).toBe(0);
    return asked.mock.calls.length;
  } finally {
    asked.mockRestore();
  }
}

test("few keys that nobody watches get past the filter, however many come and go, and all that are watched do", () => {
  const keys = new WatchedKeys<number>();
  for (const count of [1, 100, 129, 5000, 16_000]) {
    for (let i = 0; i < count; i++) keys.add(key(i), i);
    expect(passed(keys), `${count} keys`).toBeLessThan(500);
    for (let i = 0; i < count; i++) expect(keys.some(key(i), (item) => item === i)).toBe(true);
  }
  // All but a few of them go, and others come in turn.
  for (let i = 100; i < 16_000; i++) keys.remove(key(i), i);
  for (let i = 20_000; i < 60_000; i++) {
    keys.add(key(i), i);
    keys.remove(key(i), i);
  }
  expect(passed(keys)).toBeLessThan(500);
  for (let i = 0; i < 100; i++) expect(keys.some(key(i), () => true)).toBe(true);
  for (let i = 0; i < 100; i++) keys.remove(key(i), i);
  expect(passed(keys)).toBe(0);
});

test("keys that left do not fill the filter for those that take their places", () => {
  const keys = new WatchedKeys<number>();
  // As many as the smallest filter holds.
  for (let i = 100; i < 228; i++) keys.add(key(i), i);
  for (let i = 228; i < 356; i++) {
    keys.remove(key(i - 128), i - 128);
    keys.add(key(i), i);
    expect(passed(keys, 100, 1000)).toBeLessThan(60);
  }
});

test("nothing is kept of keys that nobody watches any more", () => {
  const stored = vi.spyOn(Map.prototype, "set");
  const tables = new Set<Map<unknown, unknown>>();
  try {
    const keys = new WatchedKeys<number>();
    for (let i = 0; i < 300; i++) keys.add(key(i), i);
    for (const table of stored.mock.contexts) tables.add(table as Map<unknown, unknown>);
    expect([...tables].map(({ size }) => size)).toEqual([300]);
    for (let i = 0; i < 300; i++) keys.remove(key(i), i);
  } finally {
    stored.mockRestore();
  }
  expect([...tables].map(({ size }) => size)).toEqual([0]);
});

test("keys of lengths that nobody watches are not even hashed, also when such lengths were watched before", () => {
  const keys = new WatchedKeys<number>();
  const name = (length: number, end = 0): Uint8Array => new Uint8Array(length).fill(end, -1);
  /** Whether more of a key is looked at than its length. */
  const isHashed = (length: number): boolean => {
    const proxy = new Proxy(name(length, 1), {
      get: (target, property) => {
        if (property !== "length") throw new Error("looked at");
        return target.length;
      },
    });
    try {
      return keys.some(proxy, () => true);
    } catch {
      return true;
    }
  };
  for (const length of [3, 31, 32, 100]) keys.add(name(length), length);
  expect([3, 4, 31, 32, 33, 36, 68, 100].map(isHashed)).toEqual([
    true,
    true,
    true,
    true,
    false,
    true,
    true,
    true,
  ]);
  for (const length of [3, 31, 32, 100]) expect(keys.some(name(length), () => true)).toBe(true);
  // 32 and 64 have the same last bits.
  for (const length of [31, 32, 100]) keys.remove(name(length), length);
  keys.remove(name(3), 3);
  expect([3, 4, 31, 32, 100].map(isHashed)).toEqual([false, false, false, false, false]);
  // Half of what the filter holds is gone: what is left is all that it knows.
  keys.add(name(5), 0);
  for (let i = 0; i < 128; i++) keys.add(Uint8Array.of(i, i), i);
  for (let i = 0; i < 128; i++) keys.remove(Uint8Array.of(i, i), i);
  // It is not made anew before more are gone than it is worth.
  expect([2, 5].map(isHashed)).toEqual([true, true]);
  keys.add(Uint8Array.of(128, 128), 128);
  keys.remove(Uint8Array.of(128, 128), 128);
  expect([2, 5].map(isHashed)).toEqual([false, true]);
  expect(keys.some(name(5), () => true)).toBe(true);
});

test("everybody who watches a key is asked until one says yes, and nobody who left", () => {
  const keys = new WatchedKeys<string>();
  for (const item of ["a", "b", "c"]) keys.add(key(1), item);
  keys.add(key(2), "d");
  const asked = (until?: string): string[] => {
    const items: string[] = [];
    expect(keys.some(key(1), (item) => items.push(item) > 0 && item === until)).toBe(until !== undefined);
    return items;
  };
  expect([asked(), asked("b")]).toEqual([
    ["a", "b", "c"],
    ["a", "b"],
  ]);
  keys.remove(key(1), "b");
  keys.remove(key(1), "nobody");
  keys.remove(key(3), "a");
  expect(asked()).toEqual(["a", "c"]);
  keys.remove(key(1), "a");
  keys.remove(key(1), "c");
  expect(keys.some(key(1), () => true)).toBe(false);
  expect(keys.some(key(2), () => true)).toBe(true);
});

test("keys of the same hash, of which there are some among many, are kept apart", () => {
  const alike = new Map<number, number[]>();
  for (let i = 0; i < 200_000; i++) {
    const hash = hashOf(key(i));
    alike.set(hash, [...(alike.get(hash) ?? []), i]);
  }
  const pairs = [...alike.values()].filter(({ length }) => length > 1);
  expect(pairs.length).toBeGreaterThan(0);
  const keys = new WatchedKeys<number>();
  const askedOf = (index: number): number[] => {
    const items: number[] = [];
    keys.some(key(index), (item) => items.push(item) < 0);
    return items;
  };
  for (const pair of pairs) for (const index of pair) keys.add(key(index), index);
  for (const [first, second] of pairs) {
    expect([askedOf(first), askedOf(second)]).toEqual([[first], [second]]);
    // Also after the one that comes before it left, and when that one is behind it.
    keys.remove(key(first), first);
    expect([askedOf(first), askedOf(second)]).toEqual([[], [second]]);
    keys.add(key(first), first);
    expect([askedOf(first), askedOf(second)]).toEqual([[first], [second]]);
    keys.remove(key(first), first);
    keys.remove(key(second), second);
    expect([askedOf(first), askedOf(second)]).toEqual([[], []]);
  }
});
