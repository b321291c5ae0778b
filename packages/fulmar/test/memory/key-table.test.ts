import { describe, expect, it } from "vitest";
import { KeyTable } from "../../src/memory/plain/key-table.js";
import { type KeyChain, newRecord } from "../../src/memory/plain/record.js";
import { ascii, entry } from "./fixtures.js";

const chainOf = (key: Uint8Array): KeyChain => ({
  key,
  newest: newRecord(key, 1, entry(key)),
  sameHash: undefined,
});

/** Keys of which several have the same 30-bit hash, found by trying. */
function colliding(): Uint8Array[] {
  const byHash = new Map<number, Uint8Array>();
  for (let i = 0; ; i++) {
    const key = ascii(`key-${i}`);
    let hash = 0x811c9dc5;
    for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
    const other = byHash.get(hash >>> 2);
    if (other !== undefined) return [other, key];
    byHash.set(hash >>> 2, key);
  }
}

describe("KeyTable", () => {
  it.each([
    ["first", 0],
    ["second", 1],
  ])("tells keys of one hash apart, and removes the %s", (_name, index) => {
    const table = new KeyTable();
    const keys = colliding();
    const chains = keys.map(chainOf);
    for (const chain of chains) table.add(chain);
    expect(keys.map((key) => table.find(key, 0, key.length))).toEqual(chains);
    table.remove(chains[index]);
    const left = keys.map((key) => table.find(key, 0, key.length));
    expect(left[index]).toBeUndefined();
    expect(left[1 - index]).toBe(chains[1 - index]);
    table.remove(chains[1 - index]);
    expect(table.size).toBe(0);
  });
});
