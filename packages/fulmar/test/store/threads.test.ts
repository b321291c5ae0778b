import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import { type BatchOperation, open, type Store } from "../../src/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";

/** Raise it for a long run: `FULMAR_SCANS=10000 npx vitest run packages/fulmar/test/store/threads.test.ts`. */
const SCANS = Number(process.env.FULMAR_SCANS ?? 60);
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);
const ACCOUNTS = 300;
const AMOUNT = 1000;

interface Account {
  readonly amount: number;
  readonly last?: number;
}

const workers: Worker[] = [];
const stores: Store[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  await Promise.all(stores.splice(0).map((db) => db.close()));
});

class Bank {
  readonly db: Store;
  readonly stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #random = new Prng(SEED);
  commits = 0;

  private constructor(db: Store) {
    this.db = db;
  }

  static async open(idleMs: number): Promise<Bank> {
    const db = await open(undefined, { shared: { idleMs } });
    stores.push(db);
    const accounts = Array.from({ length: ACCOUNTS }, (_, i) =>
      Bank.#account(i, { amount: AMOUNT, last: 0 }),
    );
    await db.batch([...accounts, { type: "set", key: "last", value: 0 }]);
    return new Bank(db);
  }

  static #account(number: number, value: Account): BatchOperation {
    return { type: "set", key: ["account", number], value };
  }

  worker(task: string): Worker {
    const handle = this.db.readerHandle();
    const { stop } = this;
    const workerData = { handle, task, stop, accounts: ACCOUNTS, total: ACCOUNTS * AMOUNT };
    const url = new URL("./reader-thread.mjs", import.meta.url);
    const worker = new Worker(url, { workerData, transferList: [handle.port] });
    workers.push(worker);
    return worker;
  }

  /** Moves an amount, and adds and deletes keys beside it that make nodes split and join. */
  async commit(): Promise<void> {
    const number = ++this.commits;
    const [from, to] = [1 + this.#random.below(ACCOUNTS - 1), 0];
    const amount = this.#random.below(10);
    const taken = this.db.get(["account", from]) as Account;
    const given = this.db.get(["account", to]) as Account;
    const others = Array.from({ length: 4 }, (): BatchOperation => {
      const key = ["other", this.#random.below(2000)] as const;
      // Phases in which most are added, and phases in which most are deleted.
      const isAdded = this.#random.below(10) < (Math.floor(number / 500) % 2 === 0 ? 8 : 2);
      return isAdded ? { type: "set", key, value: "x".repeat(key[1] % 700) } : { type: "delete", key };
    });
    await this.db.batch([
      Bank.#account(from, { amount: taken.amount - amount }),
      ...others,
      Bank.#account(to, { amount: given.amount + amount, last: number }),
      { type: "set", key: "last", value: number },
    ]);
  }

  /** Commits until something has happened, with turns of the event loop in between. */
  async commitUntil(happened: () => boolean): Promise<void> {
    while (!happened()) {
      for (let i = 0; i < 20; i++) await this.commit();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Notes what a worker tells; the promise rejects if the worker fails. */
function reports(worker: Worker): {
  readonly last: Record<string, unknown>;
  readonly failed: Promise<never>;
} {
  const last: Record<string, unknown> = {};
  worker.on("message", (message: object) => Object.assign(last, message));
  const failed = new Promise<never>((_, reject) => worker.once("error", reject));
  failed.catch(() => undefined);
  return { last, failed };
}

test(`several threads see whole states, in order, while the store is written (seed ${SEED})`, async () => {
  const bank = await Bank.open(600_000);
  const told = [bank.worker("scan"), bank.worker("scan")].map(reports);
  // However the threads are scheduled, each goes on until it has seen the store change.
  const isEnough = ({ last }: { last: Record<string, unknown> }): boolean =>
    Number(last.scans ?? 0) >= SCANS && Number(last.states) > 1;
  const all = bank.commitUntil(() => told.every(isEnough));
  await Promise.race([all, ...told.map(({ failed }) => failed)]);
  Atomics.store(bank.stop, 0, 1);
  const done = bank.commitUntil(() => told.every(({ last }) => last.done === true));
  await Promise.race([done, ...told.map(({ failed }) => failed)]);
  await bank.commitUntil(() => bank.db.status().memory.oldVersions === 0);
}, 600_000);

test("a thread that is terminated in the middle of a read holds nothing up", async () => {
  const bank = await Bank.open(600_000);
  for (let i = 0; i < 5; i++) {
    const worker = bank.worker("forever");
    const { last, failed } = reports(worker);
    await Promise.race([bank.commitUntil(() => last.ready === true), failed]);
    for (let j = 0; j < 30; j++) await bank.commit();
    await worker.terminate();
  }
  // The store hears of it by the end of the channel: nothing that was kept for them is kept any more.
  await bank.commitUntil(() => bank.db.status().memory.oldVersions === 0);
  expect(bank.db.count({ prefix: ["account"] })).toBe(ACCOUNTS);
}, 600_000);

test("a thread that stands still loses its state, and goes on with the newest", async () => {
  const bank = await Bank.open(20);
  const worker = bank.worker("block");
  const { last, failed } = reports(worker);
  await Promise.race([bank.commitUntil(() => last.ready === true), failed]);
  // Whatever it reads from is old after these, and is kept until the state is taken from it.
  for (let i = 0; i < 20; i++) await bank.commit();
  await bank.commitUntil(() => bank.db.status().memory.oldVersions === 0);
  Atomics.store(bank.stop, 0, 1);
  Atomics.notify(bank.stop, 0);
  while (last.done !== true) await Promise.race([once(worker, "message"), failed]);
  const newest = bank.db.get(["account", 0]);
  expect(last).toMatchObject({ code: "REVOKED", after: newest });
  expect(last.before).not.toEqual(newest);
}, 600_000);

test("a reader does not keep its thread or the process of the store alive", async () => {
  const bank = await Bank.open(600_000);
  const worker = bank.worker("nothing");
  const [code] = await once(worker, "exit");
  expect(code).toBe(0);
});
