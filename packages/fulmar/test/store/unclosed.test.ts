import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Store } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { SimulatedFinalization } from "../../src/testing/simulated/simulated-finalization.js";

const KEYS = 10;

/** A store in memory, on a machine whose garbage collector takes what the test says. */
async function simulated() {
  const machine = simulatedStorage();
  const db = await open<number>(undefined, { runtime: machine.runtime });
  await overwrite(db, 0);
  await overwrite(db.namespace<number>("n"), 0);
  return { db, machine };
}

async function overwrite(db: Pick<Store<number>, "batch">, value: number, keys = KEYS): Promise<void> {
  await db.batch(Array.from({ length: keys }, (_, key) => ({ type: "set", key, value }) as const));
}

function rest<T>(iteration: Iterator<T>): T[] {
  return [...{ [Symbol.iterator]: () => iteration }];
}

/** How many states are open, and how many versions they keep. */
function kept(db: Store<number>): readonly [number, number] {
  const { pinned, oldVersions } = db.status().memory;
  return [pinned.states, oldVersions];
}

/** Ways to begin with a state and never to end. */
const WAYS: readonly (readonly [string, (db: Store<number>) => unknown])[] = [
  ["a snapshot", (db) => db.snapshot()],
  ["a listing", (db) => db.list()[Symbol.iterator]().next()],
  ["keys with turns of the event loop in between", (db) => db.keys()[Symbol.asyncIterator]().next()],
  ["values of a namespace", (db) => db.namespace("n").values()[Symbol.iterator]().next()],
  ["a snapshot of a namespace", (db) => db.namespace("n").snapshot()],
  ["a namespace of a snapshot", (db) => db.snapshot().in(db.namespace("n"))],
  ["a listing of a snapshot", (db) => db.snapshot().list()[Symbol.iterator]().next()],
  [
    "a listing of a snapshot that was closed",
    (db) => {
      using snapshot = db.snapshot();
      snapshot.list()[Symbol.iterator]().next();
    },
  ],
];

describe("what was begun and is garbage", () => {
  it.each(WAYS)("keeps nothing any more: %s", async (_, begin) => {
    const { db, machine } = await simulated();
    begin(db);
    expect(kept(db)).toEqual([1, 0]);
    await overwrite(db, 1);
    await overwrite(db, 2);
    expect(kept(db)).toEqual([1, KEYS]);
    expect(machine.collectGarbage()).toBe(1);
    expect(kept(db)).toEqual([0, 0]);
    await db.close();
  });

  it("is told to the collector while memory is given back, also when nothing is written any more", async () => {
    const turns: (() => void)[] = [];
    const finalization = new SimulatedFinalization();
    const { timers, ...runtime } = nodeRuntime();
    const turn = (): Promise<void> => new Promise((resolve) => turns.push(resolve));
    const db = await open<number>(undefined, {
      runtime: { ...runtime, timers: { ...timers, turn }, finalization },
    });
    await overwrite(db, 1, 20_000);
    const snapshot = db.snapshot();
    await overwrite(db, 2, 20_000);
    snapshot.close();
    db.keys()[Symbol.iterator]().next();
    expect(finalization.collect(() => true)).toBe(0);
    for (let i = 0; i < 2; i++) {
      for (const resolve of turns.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([finalization.collect(() => true), db.status().memory.pinned.states]).toEqual([1, 0]);
    await db.close();
  });
});

describe("the collector is told nothing", () => {
  it("of what ends before anything is written", async () => {
    const { db, machine } = await simulated();
    for (const [, begin] of WAYS) begin(db);
    expect([...db.list()].length).toBe(KEYS);
    expect(machine.collectGarbage()).toBe(0);
    await db.close();
  });

  it("of what has ended since", async () => {
    const { db, machine } = await simulated();
    const listing = db.values()[Symbol.iterator]();
    listing.next();
    const snapshot = db.snapshot();
    await overwrite(db, 1);
    expect(rest(listing).length).toBe(KEYS - 1);
    snapshot.close();
    expect([machine.collectGarbage(), ...kept(db)]).toEqual([0, 0, 0]);
    await db.close();
  });
});

it("an iteration that goes on keeps the state of its closed snapshot, whatever became of others", async () => {
  const { db, machine } = await simulated();
  const snapshot = db.snapshot();
  const iterations = [0, 1, 2].map(() => snapshot.values()[Symbol.iterator]());
  for (const iteration of iterations) expect(iteration.next().value).toBe(0);
  snapshot.close();
  await overwrite(db, 1);
  iterations[0].return?.();
  expect(rest(iterations[1])).toEqual(new Array(KEYS - 1).fill(0));
  expect(kept(db)).toEqual([1, KEYS]);
  expect(rest(iterations[2])).toEqual(new Array(KEYS - 1).fill(0));
  expect([...kept(db), machine.collectGarbage()]).toEqual([0, 0, 0]);
  await db.close();
});

it("the status tells how many states are open, and of the oldest its version and its age", async () => {
  const machine = simulatedStorage({ cryptography: nodeCryptography });
  const db = await open<number>("/data", { runtime: machine.runtime });
  const { version } = await db.set("a", 1);
  expect(db.status().memory.pinned).toEqual({ states: 0 });
  const snapshot = db.snapshot();
  await db.set("a", 2);
  await machine.advance(5000);
  const listing = db.list()[Symbol.iterator]();
  listing.next();
  await machine.advance(500);
  await db.transact((tx) => {
    tx.get("a");
    expect(db.status().memory.pinned).toEqual({ states: 3, oldestVersion: version, oldestMs: 5500 });
  });
  snapshot.close();
  expect(db.status().memory.pinned).toEqual({ states: 1, oldestVersion: version + 1, oldestMs: 500 });
  listing.return?.();
  expect(db.status().memory.pinned).toEqual({ states: 0 });
  await db.close();
});

describe("Node's garbage collector", () => {
  const script = fileURLToPath(new URL("./unclosed-process.mjs", import.meta.url));
  const run = async (what: string): Promise<unknown> => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", script, what]);
    return JSON.parse(stdout);
  };

  it("lets go of what 1000 dropped snapshots and iterations kept", async () => {
    expect(await run("dropped")).toEqual({ before: [1000, true], after: [0, 0] });
  });

  it("takes no state from what can still be reached", async () => {
    const rest = Array.from({ length: 99 }, (_, i) => i + 1);
    expect(await run("held")).toEqual({
      states: 7,
      open: 7,
      shown: new Array(6).fill(rest),
      values: [-1],
      after: [0, 0],
    });
  });
});
