import { describe, expect, it } from "vitest";
import { open, type Store, type Transaction } from "../../src/index.js";
import { encodeKey, type Key } from "../../src/keys/key.js";
import { Coverage } from "../../src/record/coverage.js";
import { entryBytes, writeEntry } from "../../src/record/entry.js";
import { type MergeResult, portOf } from "../../src/store/port.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { interleaved } from "./interleaved.js";

const PEER = "00".repeat(15).concat("bb");

/** Merges one commit of a peer, newer than all that is there, with these numbers. */
function merge(
  db: Store<number>,
  seq: number,
  values: readonly (readonly [Key, number])[],
): Promise<MergeResult> {
  const port = portOf(db);
  const { checksum } = port.runtime;
  const newest = Math.max(0, ...[...db.list()].map(({ stamp }) => stamp.hlc));
  const pages = values.map(([name, number]) => {
    const key = encodeKey(name, 4096);
    const value = new TextEncoder().encode(String(number));
    const page = new Uint8Array(entryBytes(key.length, value.length, 0));
    const valueChecksum = checksum.crc32(value, 0, value.length, 0);
    const origin = port.origins.intern(PEER);
    writeEntry(page, 0, { key, value, flags: 0, origin, hlc: newest + 1, seq, deadline: 0, valueChecksum });
    return page;
  });
  const covered = new Coverage();
  covered.set(PEER, { upTo: seq, holes: [] });
  return port.merge(pages, covered);
}

const simulated = () => simulatedStorage({ cryptography: nodeCryptography });

describe("a transaction conflicts with", () => {
  it.each([
    ["a key", (tx: { get(key: Key): number | undefined }) => tx.get("n")],
    ["an absent key", (tx: { get(key: Key): number | undefined }) => tx.get("new")],
  ])("a merge from a peer that changed %s which it read", async (_, read) => {
    await using db = await open<number>();
    await portOf(db).beginReplication();
    await db.set("n", 1);
    const one = await interleaved(
      db,
      (tx) => tx.set("sum", (read(tx) ?? 0) + 1),
      () =>
        merge(db, 1, [
          ["n", 10],
          ["new", 10],
        ]),
    );
    await one.result;
    expect([db.get("sum"), one.attempts()]).toEqual([11, 2]);
  });

  it.each([3, 3000])("a merge of %d keys into a range that it listed", async (count) => {
    await using db = await open<number>();
    await portOf(db).beginReplication();
    await db.set(["r", 0], 1);
    const values = Array.from({ length: count }, (__, i): [Key, number] => [["r", i + 1], 1]);
    const one = await interleaved(
      db,
      (tx) => tx.set("count", tx.count({ prefix: ["r"] })),
      () => merge(db, 1, values),
    );
    await one.result;
    expect([db.get("count"), one.attempts()]).toEqual([count + 1, 2]);
  });

  it.each(["get", "has", "list"] as const)("the end of a key's life that it saw by %s", async (way) => {
    const storage = simulated();
    const db = await open<number>("/data", { runtime: storage.restart() });
    await db.set("lease", 1, { ttl: 1000 });
    const isHeld = (tx: Transaction<number>): boolean => {
      if (way === "list") return [...tx.keys({ prefix: "lease" })].length === 1;
      return way === "get" ? tx.get("lease") === 1 : tx.has("lease");
    };
    const one = await interleaved(
      db,
      (tx) => tx.set("held", isHeld(tx) ? 1 : 0),
      async () => storage.clock.jump(1000),
    );
    await one.result;
    // Nothing has swept it: another transaction may have found it gone all the same.
    expect([db.get("held"), one.attempts(), db.status().tombstones]).toEqual([0, 2, 0]);
    await db.close();
  });

  it("no deadline of a key that it overwrote, or did not validate, or reads in a snapshot", async () => {
    const storage = simulated();
    const db = await open<number>("/data", { runtime: storage.restart() });
    const bodies = [
      {
        isolation: "serializable",
        read: (tx: Transaction<number>) => tx.get("a", { conflict: false }),
      },
      { isolation: "snapshot", read: (tx: Transaction<number>) => tx.get("a") },
    ] as const;
    for (const { isolation, read } of bodies) {
      await db.set("a", 1, { ttl: 1000 });
      const one = await interleaved(
        db,
        (tx) => {
          tx.set("seen", read(tx) ?? 0);
          tx.set("a", 2);
          tx.get("a");
        },
        async () => storage.clock.jump(2000),
        { isolation },
      );
      await one.result;
      expect([db.get("seen"), db.get("a"), one.attempts()]).toEqual([1, 2, 1]);
    }
    await db.close();
  });
});

describe("a transaction is ended", () => {
  it("by a signal that its own function gave, before its first await or without one", async () => {
    await using db = await open<number>();
    for (const isAsync of [false, true]) {
      const control = new AbortController();
      const body = (tx: { set(key: Key, value: number): void }): Promise<void> | undefined => {
        tx.set("a", 1);
        control.abort();
        return isAsync ? new Promise<void>(() => {}) : undefined;
      };
      await expect(db.transact(body, { signal: control.signal })).rejects.toMatchObject({ code: "ABORTED" });
    }
    expect([db.get("a"), db.status().memory.oldVersions]).toEqual([undefined, 0]);
  });

  it("by the end of the store that its own function brought about", async () => {
    const db = await open<number>();
    const result = db.transact(async (tx) => {
      tx.set("a", 1);
      void db.close();
      await new Promise<void>(() => {});
    });
    await expect(result).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("for a listing that is only begun afterwards, of an empty range too", async () => {
    await using db = await open<number>();
    const listing = await db.transact((tx) => tx.list());
    expect(() => [...listing]).toThrow(expect.objectContaining({ code: "TRANSACTION_ENDED" }));
  });
});

describe("a listing of a transaction that is left open", () => {
  /** Lets what the listing was at be freed. */
  async function replaceAll(db: Store<number>): Promise<void> {
    await db.clear();
    for (let i = 0; i < 300; i++) await db.set(`other ${i}`, i);
    while (portOf(db).engine.vacuum(1000));
  }

  it.each([false, true])("ends with it, in the middle and at its end (reverse: %s)", async (reverse) => {
    await using db = await open<number>();
    for (let i = 0; i < 100; i++) await db.set(i, i);
    const [middle, last] = await db.transact((tx) => {
      tx.set(1000, 1);
      return [100, 1].map((limit) => {
        const iterator = tx.list({ reverse, limit })[Symbol.iterator]();
        iterator.next();
        return iterator;
      });
    });
    await replaceAll(db);
    const ended = expect.objectContaining({ code: "TRANSACTION_ENDED" });
    expect(() => middle.next()).toThrow(ended);
    expect(() => last.next()).toThrow(ended);
  });

  it("is begun again with it when the log refused what it shows", async () => {
    const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography, sectorBytes: 512 });
    await using db = await open<number>("/data", { runtime: storage.runtime, segmentBytes: 65_536 });
    for (let i = 0; i < 100; i++) await db.set(i, i);
    storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
    const refused = db.set(200, 1);
    const shown: Key[][] = [];
    await db.transact(async (tx) => {
      const keys: Key[] = [];
      shown.push(keys);
      for (const key of tx.keys()) {
        keys.push(key);
        if (keys.length === 50 && shown.length === 1) {
          await refused.catch(() => undefined);
          await replaceAll(db);
        }
      }
      tx.set("sum", keys.length);
    });
    await expect(refused).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(shown.map((keys) => keys.length)).toEqual([50, expect.any(Number)]);
    expect(db.get("sum")).toBe(shown[1].length);
  });
});

describe("a transaction in a full memory", () => {
  it.each(["none", "lru"] as const)(
    "overwrites like any write, its own snapshot is not in the way (%s)",
    async (eviction) => {
      await using db = await open<string>(undefined, { codec: "text", maxMemory: 1024 * 1024, eviction });
      const large = "x".repeat(100_000);
      await db.set("large", large);
      const fill = async (): Promise<void> => {
        for (let i = 0; i < 900; i++) await db.set(i, "x".repeat(1000));
      };
      await fill().catch(() => undefined);
      for (let i = 0; i < 30; i++) {
        if (eviction === "lru") await db.transact((tx) => tx.set(`new ${i}`, "x"));
        if (eviction === "lru" && !db.has("large")) await db.set("large", large);
        await db.transact((tx) => tx.set("large", `${tx.get("large")?.slice(0, 99_999)}${i % 10}`));
      }
      expect(db.get("large")?.at(-1)).toBe("9");
      portOf(db).verify();
    },
  );
});

it("what a transaction returns is looked into when its commit is done, not while it is made", async () => {
  await using db = await open<number>();
  const looks: { readonly value: number | undefined; readonly isDone: boolean }[] = [];
  // Code of the application, which may do anything.
  // biome-ignore lint/suspicious/noThenProperty: the test is about one
  const result = Object.defineProperty({}, "then", {
    get: () => {
      const { applied, published } = db.status().version;
      looks.push({ value: db.get("k"), isDone: published === applied });
      return undefined;
    },
  });
  const body = (tx: Transaction<number>): typeof result => {
    tx.set("k", 1);
    return result;
  };
  expect(await db.transact(body, { durability: "full" })).toBe(result);
  // Before the commit for whether it is a promise, and afterwards when it is handed over.
  expect(looks[0]).toEqual({ value: undefined, isDone: true });
  expect(looks.length).toBeGreaterThan(1);
  for (const look of looks.slice(1)) expect(look).toEqual({ value: 1, isDone: true });
});
