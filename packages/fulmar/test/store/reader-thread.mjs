/**
 * A thread that reads what its parent writes, told by `workerData`: the handle, what to do, and a word that
 * ends it. It tells of everything that it finds wrong.
 */
import { parentPort, workerData } from "node:worker_threads";
import { openReader } from "fulmar";

const { handle, task, stop, accounts, total } = workerData;
const reader = await openReader(handle);
const stopped = () => Atomics.load(stop, 0) !== 0;
const check = (holds, what) => {
  if (!holds) throw new Error(`${what} at version ${reader.version}`);
};

/** Batches move amounts between accounts: their sum never changes. Other keys come and go. */
function scan(previous) {
  const version = reader.refresh();
  check(version >= previous, `went back from ${previous}`);
  let sum = 0;
  let count = 0;
  for (const { key, value, version: written } of reader.list({ prefix: ["account"] })) {
    check(key[1] === count++, `account ${key[1]} instead of ${count - 1}`);
    check(written <= version, `an entry of version ${written}`);
    sum += value.amount;
  }
  check(count === accounts && sum === total, `${count} accounts with ${sum}`);
  const other = [...reader.keys({ prefix: ["other"], reverse: true })];
  check(other.length === reader.count({ prefix: ["other"] }), "a listing is no count");
  for (const key of other.slice(0, 50)) check(reader.get(key)?.length === key[1] % 700, `value of ${key}`);
  for (let i = 1; i < other.length; i++) check(other[i - 1][1] > other[i][1], "no order");
  // The last commit before this state wrote its own version's number here.
  check(reader.get("last") === reader.get(["account", 0]).last, "half a batch");
  return version;
}

if (task === "scan") {
  let scans = 0;
  let version = 0;
  const versions = new Set();
  parentPort.postMessage({ ready: true });
  while (!stopped()) {
    version = scan(version);
    versions.add(version);
    scans++;
    if (scans % 10 === 0) parentPort.postMessage({ scans, states: versions.size });
  }
  await reader.close();
  parentPort.postMessage({ done: true, scans, states: versions.size });
} else if (task === "namespaces") {
  const parts = ["a", "b", "c"].map((name) => reader.namespace(name, { codec: "text" }));
  let states = 0;
  let previous = -1;
  while (!stopped()) {
    if (reader.refresh() === previous) continue;
    previous = reader.version;
    const sum = reader.get("sum");
    const names = reader.namespaces();
    check(names.length === 1 && names[0] === "abc"[sum % 3], `namespaces ${names} with ${sum}`);
    const found = parts.flatMap((part) => [...part.list()]);
    check(found.length === 1 && found[0].value === String(sum), `${found.length} entries with ${sum}`);
    check(parts[sum % 3].get(["k", sum % 7]) === String(sum), `no entry with ${sum}`);
    states++;
    if (states % 10 === 0) parentPort.postMessage({ states, done: false });
  }
  await reader.close();
  parentPort.postMessage({ states, done: true });
} else if (task === "forever") {
  parentPort.postMessage({ ready: true });
  for (let version = 0; ; ) version = scan(version);
} else if (task === "block") {
  let before;
  let walk;
  // On a machine that does other things, too, it may stand still for too long before it has begun.
  while (walk === undefined) {
    try {
      reader.refresh();
      before = reader.get(["account", 0]);
      const begun = reader.list()[Symbol.iterator]();
      begun.next();
      walk = begun;
    } catch (error) {
      if (error.code !== "REVOKED") throw error;
    }
  }
  parentPort.postMessage({ ready: true });
  Atomics.wait(stop, 0, 0);
  let code;
  try {
    for (let step = walk.next(); step.done !== true; step = walk.next());
  } catch (error) {
    code = error.code;
  }
  reader.refresh();
  const after = reader.get(["account", 0]);
  await reader.close();
  parentPort.postMessage({ done: true, code, before, after });
}
