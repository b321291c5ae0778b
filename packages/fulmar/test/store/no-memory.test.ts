import { describe, expect, test } from "vitest";
import { type CommitEvent, open, type Store } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { scarcity } from "../memory/scarce.js";

const VALUE = "v".repeat(200);

function texts(options: { historyBytes?: number } = {}): Promise<Store<string>> {
  return open<string>(undefined, { codec: "text", ...options });
}

describe("no memory for what a watch shows", () => {
  /** Three keys in one commit, with no memory to show the second. Who waits for it does so by then. */
  async function change(db: Store<string>): Promise<number> {
    await new Promise((resolve) => setImmediate(resolve));
    const scarce = scarcity(1, 1);
    const written = db.batch(["a", "b", "c"].map((key) => ({ type: "set" as const, key, value: VALUE })));
    scarce.end();
    expect(scarce.refused).toBe(1);
    return (await written).version;
  }

  test("a stream finds the commit in the history, whole", async () => {
    const db = await texts();
    await db.set("first", VALUE);
    const stream = db.watch({});
    const next = stream.next();
    const version = await change(db);
    const { value: event } = await next;
    expect(event).toMatchObject({
      version,
      changes: [{ key: "a", value: VALUE }, { key: "b" }, { key: "c" }],
    });
    const last = await db.set("last", "1");
    expect(await stream.next()).toMatchObject({ value: { version: last.version } });
    await db.close();
  });

  test("a stream without history is told of a gap", async () => {
    const db = await texts({ historyBytes: 0 });
    await db.set("first", VALUE);
    const stream = db.watch({});
    const next = stream.next();
    const version = await change(db);
    expect(await next).toMatchObject({ value: { gap: { through: version } } });
    await db.close();
  });

  test("a listener is shown no half of the commit, and others see theirs", async () => {
    const db = await texts();
    await db.set("first", VALUE);
    const all: CommitEvent<string>[] = [];
    const some: CommitEvent<string>[] = [];
    db.watch("a", (event) => void some.push(event));
    db.watch({}, (event) => void all.push(event));
    const version = await change(db);
    expect(all).toEqual([]);
    expect(some.map((event) => event.version)).toEqual([version]);
    await db.set("b", "1");
    expect(all).toHaveLength(1);
    expect(db.get("a")).toBe(VALUE);
    await db.close();
  });

  test("commits go on where there is none for telling them apart sooner", async () => {
    const db = await texts();
    const shown: CommitEvent<string>[] = [];
    db.watch({ prefix: "wanted" }, (event) => void shown.push(event));
    // Keys that are as long, and begin in the same way, so that they are looked for among the ranges.
    const stop = db.watch({ prefix: "wants" }, () => undefined);
    stop.close();
    await db.set("wants", "0");
    const scarce = scarcity(0);
    for (let i = 0; i < 100; i++) await db.set(`wants ${i}`, "1");
    scarce.end();
    expect(scarce.refused).toBeGreaterThan(1);
    await db.set("wanted", "1");
    expect(shown).toHaveLength(1);
    await db.close();
  });
});

/** Keys `0`, `1`, ... in batches of two, for each of which one allocation more is granted, then written again. */
async function writeScarcely(db: Store<string>, batches: number): Promise<number> {
  let refused = 0;
  for (let i = 0; i < batches; i++) {
    const writes = [`${2 * i}`, `${2 * i + 1}`].map((key) => {
      return { type: "set" as const, key, value: "v".repeat(4000), ...(i % 3 === 0 ? { ttl: 1e9 } : {}) };
    });
    const scarce = scarcity(i % 4, 1);
    const written = db.batch(writes).then(() => undefined, String);
    // Before the simulated disk is asked, which takes some, too.
    scarce.end();
    const error: unknown = await written;
    expect(db.status().state).toBe("open");
    expect([db.has(`${2 * i}`), db.has(`${2 * i + 1}`)]).toEqual(Array(2).fill(error === undefined));
    portOf(db).verify();
    if (error === undefined) continue;
    expect(error).toBe("RangeError: Array buffer allocation failed");
    refused++;
    await db.batch(writes);
  }
  return refused;
}

test("a commit for which memory runs out half-way is refused alone, and the history holds all others", async () => {
  const db = await texts({ historyBytes: 100_000 });
  expect(await writeScarcely(db, 400)).toBeGreaterThan(20);
  const keys = Array.from({ length: 800 }, (_, i) => `${i}`);
  const past: string[] = [];
  for await (const { changes, gap } of db.watch({}, { since: db.version - 6 })) {
    expect(gap).toBeUndefined();
    past.push(...changes.map(({ key }) => String(key)));
    if (past.at(-1) === "799") break;
  }
  expect(past.length).toBeGreaterThan(4);
  expect(past).toEqual(keys.slice(-past.length));
  await db.close();
});

test.each([
  ["plain", {}],
  ["encrypted", { encryption: { key: new Uint8Array(32).fill(1) } }],
])("the log, %s, holds what was not refused, and nothing else", async (_, sealing) => {
  const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
  const options = { codec: "text", runtime, segmentBytes: 65_536, ...sealing } as const;
  const keys = Array.from({ length: 3000 }, (_, i) => `key ${i}`);
  let refused = 0;
  for (let granted = 0; ; granted += 3) {
    const db = await open<string>(`/data ${granted}`, options);
    await db.set("first", "1");
    const writes = keys.map((key, i) => {
      return { type: "set" as const, key, value: "x", ...(i % 3 === 0 ? { ttl: 1e9 } : {}) };
    });
    const scarce = scarcity(granted);
    const written = db.batch(writes).then(() => undefined, String);
    // Before the simulated disk is asked, which takes some, too.
    scarce.end();
    const error = await written;
    if (error !== undefined) expect(error).toBe("RangeError: Array buffer allocation failed");
    expect(db.count()).toBe(error === undefined ? 3001 : 1);
    await db.set("last", "1");
    await db.close();
    const again = await open<string>(`/data ${granted}`, options);
    expect([...again.keys()]).toEqual(["first", ...(error === undefined ? keys : []), "last"].sort());
    await again.close();
    if (error === undefined) break;
    refused++;
  }
  expect(refused).toBeGreaterThan(5);
});

test("a directory is free again when there was no memory for the store that was to be opened", async () => {
  const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
  const db = await open("/data", { runtime });
  await db.set("saved", "1");
  await db.close();
  let failures = 0;
  for (let granted = 0; ; granted++) {
    const scarce = scarcity(granted, 1);
    const again = await open("/data", { runtime, maxMemory: 1 << 20, eviction: "lru" }).catch(String);
    scarce.end();
    if (typeof again === "string") {
      expect(again).not.toContain("holds /data");
      failures++;
      continue;
    }
    expect(again.get("saved")).toBe("1");
    await again.close();
    if (scarce.refused === 0) break;
  }
  expect(failures).toBeGreaterThan(10);
});

test("keys that were chosen to go for a write, for which there is no memory then, are chosen again", async () => {
  const options = { codec: "text", maxMemory: 1 << 20, eviction: "lru" } as const;
  const db = await open<string>(undefined, options);
  const key = (i: number): string => `${i} ${"k".repeat(100)}`;
  let i = 0;
  while (db.status().memory.evicted.entries === 0) await db.set(key(i++), VALUE);
  let refused = 0;
  for (let granted = 0; granted < 12; granted++) {
    const scarce = scarcity(granted, 1);
    const error: unknown = await db.set(key(i++), "v".repeat(20_000)).then(() => undefined, String);
    scarce.end();
    if (error !== undefined) refused++;
    expect(db.status().state).toBe("open");
    portOf(db).verify();
  }
  expect(refused).toBeGreaterThan(8);
  await db.close();
});

test("a write for which the log has no memory is refused alone, also the first of a segment", async () => {
  const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
  const options = { codec: "text", runtime, segmentBytes: 65_536 } as const;
  for (const isGoingOn of [true, false]) {
    const db = await open<string>("/data", options);
    await db.set("large", "x".repeat(2 << 20));
    for (let i = 0; i < 50; i++) await runtime.timers.turn();
    const { segments } = db.status().log ?? {};
    const scarce = scarcity(0);
    await expect(db.set("refused", "1")).rejects.toThrow("allocation failed");
    scarce.end();
    expect(db.status()).toMatchObject({ state: "open", log: { segments: (segments ?? 0) + 1 } });
    if (isGoingOn) await db.set("later", "1");
    await db.close();
    const again = await open<string>("/data", options);
    expect([...again.keys()]).toEqual(["large", "later"]);
    await again.close();
  }
});
