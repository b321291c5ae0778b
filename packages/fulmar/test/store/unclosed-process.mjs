// Run by unclosed.test.ts with --expose-gc: what Node's garbage collector does to states that nobody closed.
import { open } from "fulmar";

const KEYS = 100;
/** Collections, each with a turn of the event loop, in which what is garbage must have been found. */
const ROUNDS_MAX = 1000;

const db = await open();
const space = db.namespace("n");

async function overwrite(value) {
  for (const part of [db, space]) {
    await part.batch(Array.from({ length: KEYS }, (_, key) => ({ type: "set", key, value })));
  }
}

function kept() {
  const { pinned, oldVersions } = db.status().memory;
  return [pinned.states, oldVersions];
}

/** Collects until `isDone`, or until it must have been. */
async function collect(isDone) {
  for (let i = 0; i < ROUNDS_MAX && !isDone(); i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What is closed or at its end, and can still be reached: it must keep nothing either. */
const ended = [];

/** Ways to begin with a state. Each gives an iteration that the caller may go on with, from the second key on. */
const WAYS = [
  () => db.keys()[Symbol.iterator](),
  () => db.keys()[Symbol.asyncIterator](),
  () => space.keys()[Symbol.iterator](),
  () => space.snapshot().keys()[Symbol.asyncIterator](),
  () => db.snapshot().in(space).keys()[Symbol.iterator](),
  () => {
    const snapshot = db.snapshot();
    const whole = snapshot.keys()[Symbol.iterator]();
    const iteration = snapshot.keys()[Symbol.iterator]();
    whole.next();
    iteration.next();
    for (const _ of whole);
    snapshot.close();
    ended.push(snapshot, whole);
    return iteration;
  },
];

async function begin(way) {
  const iteration = WAYS[way]();
  if (way !== WAYS.length - 1) await iteration.next();
  return iteration;
}

/** Begins with so many states, one in four a snapshot that nobody lists, and overwrites all after each hundred. */
async function beginMany(count) {
  const begun = [];
  for (let i = 0; i < count; i++) {
    begun.push(i % 4 === 0 ? db.snapshot() : await begin(i % WAYS.length));
    if (i % 100 === 99) await overwrite(i);
  }
  return begun;
}

async function dropped() {
  const begun = await beginMany(1000);
  const [states, versions] = kept();
  const before = [states, versions > 0];
  begun.length = 0;
  await collect(() => kept().every((count) => count === 0));
  return { before, after: kept() };
}

async function held() {
  const snapshot = db.snapshot();
  const iterations = [];
  for (let way = 0; way < WAYS.length; way++) iterations.push(await begin(way));
  (await beginMany(100)).length = 0;
  const states = iterations.length + 1;
  await collect(() => kept()[0] <= states);
  const open = kept()[0];
  // What could be taken was: once more, for whatever else a collector might take.
  let rounds = 0;
  await collect(() => ++rounds > 3);
  const shown = [];
  for (const iteration of iterations) {
    const keys = [];
    for (let step = await iteration.next(); !step.done; step = await iteration.next()) keys.push(step.value);
    shown.push(keys);
  }
  const values = new Set(snapshot.values());
  snapshot.close();
  // Some of the iterations were over snapshots that nobody closed.
  iterations.length = 0;
  await collect(() => kept()[0] === 0);
  return { states, open, shown, values: [...values], after: kept() };
}

await overwrite(-1);
process.stdout.write(JSON.stringify(await (process.argv[2] === "held" ? held() : dropped())));
await db.close();
