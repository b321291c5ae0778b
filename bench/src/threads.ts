import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { openReader, type ReaderHandle } from "fulmar";
import { type ByteStore, fill, openBytes } from "./fill.js";
import { keyAt, type Measurement, type Run, shuffled, turn, valuePool } from "./measure.js";

/** What a reading thread is given. */
interface Task {
  readonly handle: ReaderHandle;
  readonly keys: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Reads of one state, before the reader goes on to the newest. */
const READS_PER_STATE = 1000;

/** Point reads by so many worker threads together, while this thread sets keys all the time. */
export function readingThreads(threads: number): (run: Run) => Promise<Measurement> {
  return async ({ keys, valueBytes, warmUpMs, measureMs }) => {
    const db = await openBytes(undefined, "memory", { shared: true });
    const order = shuffled(keys);
    await fill(db, order, valueBytes);
    const rates: number[] = [];
    const workers = Array.from({ length: threads }, () => {
      const handle = db.readerHandle();
      const task: Task = { handle, keys, warmUpMs, measureMs };
      const worker = new Worker(new URL(import.meta.url), { workerData: task, transferList: [handle.port] });
      worker.on("message", (perSecond: number) => rates.push(perSecond));
      return new Promise<void>((resolve, reject) => {
        worker.once("exit", () => resolve());
        worker.once("error", reject);
      });
    });
    let isDone = false;
    const done = Promise.all(workers).finally(() => {
      isDone = true;
    });
    const writesPerSecond = await writeUntil(db, order, valueBytes, () => isDone);
    await done;
    await db.close();
    const perSecond = rates.reduce((sum, rate) => sum + rate, 0);
    const workload = `get on ${threads} worker thread${threads === 1 ? "" : "s"} beside sets`;
    const note = `${Math.round(writesPerSecond)} sets a second meanwhile`;
    return {
      workload,
      keys,
      valueBytes,
      operations: Math.round((perSecond * measureMs) / 1000),
      perSecond,
      note,
    };
  };
}

/** Sets keys until told to end; returns how many in a second. */
async function writeUntil(
  db: ByteStore,
  order: Uint32Array,
  valueBytes: number,
  isDone: () => boolean,
): Promise<number> {
  const valueFor = valuePool(valueBytes);
  const begin = performance.now();
  let written = 0;
  while (!isDone()) {
    const some = Array.from({ length: 100 }, (_, i) => order[(written + i) % order.length]);
    await Promise.all(some.map((key) => db.set(keyAt(key), valueFor(key + written))));
    written += some.length;
    await turn();
  }
  return (written * 1000) / (performance.now() - begin);
}

async function readAll({ handle, keys, warmUpMs, measureMs }: Task): Promise<number> {
  const reader = await openReader<Uint8Array>(handle, { codec: "bytes" });
  const order = shuffled(keys);
  let at = 0;
  const readFor = (ms: number): number => {
    const begin = performance.now();
    let reads = 0;
    for (; performance.now() - begin < ms; reads += READS_PER_STATE) {
      reader.refresh();
      for (let i = 0; i < READS_PER_STATE; i++) {
        const index = order[at++ % keys];
        if (reader.get(keyAt(index)) === undefined) throw new Error(`lost ${index}`);
      }
    }
    return (reads * 1000) / (performance.now() - begin);
  };
  readFor(warmUpMs);
  const perSecond = readFor(measureMs);
  await reader.close();
  return perSecond;
}

if (!isMainThread) parentPort?.postMessage(await readAll(workerData as Task));
