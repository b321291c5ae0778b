// A worker thread reads what the main thread writes, straight from the store's memory.
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { open, openReader } from "fulmar";

if (isMainThread) {
  const db = await open("data-threads", { shared: true });
  const moves = db.namespace("moves");
  await db.batch([
    { type: "set", key: ["account", "ada"], value: 60 },
    { type: "set", key: ["account", "grace"], value: 40 },
  ]);

  const handle = db.readerHandle();
  const worker = new Worker(new URL(import.meta.url), { workerData: handle, transferList: [handle.port] });
  let report;
  worker.on("message", (message) => {
    report = message;
  });
  const ended = once(worker, "exit");

  // Moves amounts to and fro until the worker has seen enough. Their sum is always 100.
  while (report === undefined) {
    const amount = Math.floor(Math.random() * 100);
    await db.transact((tx) => {
      tx.set(["account", "ada"], amount);
      tx.set(["account", "grace"], 100 - amount);
      tx.in(moves).set("last", amount);
    });
  }
  await ended;
  console.log(`the worker read ${report.states} states; every sum was ${report.sums.join(", ")}`);
  await db.close();
} else {
  const reader = await openReader(workerData);
  const moves = reader.namespace("moves"); // at the state of its reader
  const versions = new Set();
  const sums = new Set();
  while (versions.size < 20) {
    versions.add(reader.refresh()); // to the newest state; all reads until the next refresh are of this one
    let sum = 0;
    for (const amount of reader.values({ prefix: ["account"] })) sum += amount;
    sums.add(sum);
    const last = moves.get("last") ?? reader.get(["account", "ada"]);
    if (last !== reader.get(["account", "ada"])) throw new Error("a namespace of another state");
  }
  await reader.close();
  parentPort.postMessage({ states: versions.size, sums: [...sums] });
}
