import BTree from "sorted-btree";
import { changed, type Engine, type Handle } from "../engine.js";

/** Writes behind promises, values copied in and out: what a store has to do at least. */
async function openMap(): Promise<Handle> {
  const map = new Map<string, Uint8Array>();
  return {
    set: async (key, value) => {
      map.set(key, new Uint8Array(value));
    },
    batch: async (entries) => {
      for (const { key, value } of entries) map.set(key, new Uint8Array(value));
    },
    get: (key) => copyOf(map.get(key)),
    update: async (first, second) => {
      for (const key of [first, second]) map.set(key, changed(map.get(key) as Uint8Array));
    },
    flush: () => undefined,
    close: () => map.clear(),
  };
}

async function openTree(): Promise<Handle> {
  const tree = new BTree.default<string, Uint8Array>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return {
    set: async (key, value) => {
      tree.set(key, new Uint8Array(value));
    },
    batch: async (entries) => {
      for (const { key, value } of entries) tree.set(key, new Uint8Array(value));
    },
    get: (key) => copyOf(tree.get(key)),
    range: (from, limit) => {
      let seen = 0;
      for (const [, value] of tree.entries(from)) {
        if (copyOf(value) !== undefined) seen++;
        if (seen === limit) break;
      }
      return seen;
    },
    update: async (first, second) => {
      for (const key of [first, second]) tree.set(key, changed(tree.get(key) as Uint8Array));
    },
    flush: () => undefined,
    close: () => tree.clear(),
  };
}

function copyOf(value: Uint8Array | undefined): Uint8Array | undefined {
  return value === undefined ? undefined : new Uint8Array(value);
}

export const map: Engine = { name: "Map", durable: false, open: openMap };
export const sortedBtree: Engine = { name: "sorted-btree", durable: false, open: openTree };
