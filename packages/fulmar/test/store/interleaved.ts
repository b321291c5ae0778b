import type { Store, Transaction } from "../../src/index.js";

/** Runs a transaction up to a gate, lets `meanwhile` happen, and lets it go on. */
export async function interleaved<V, T>(
  db: Store<V>,
  body: (tx: Transaction<V>, attempt: number) => T,
  meanwhile: () => Promise<unknown>,
  options: Parameters<Store<V>["transact"]>[1] = {},
): Promise<{ result: Promise<T>; attempts: () => number }> {
  let attempts = 0;
  let entered = () => {};
  const reading = new Promise<void>((resolve) => {
    entered = resolve;
  });
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const result = db.transact(async (tx) => {
    const value = body(tx, ++attempts);
    entered();
    await gate;
    return value;
  }, options);
  // One that fails on its way reads no more.
  result.catch(() => entered());
  await reading;
  await meanwhile();
  release();
  return { result, attempts: () => attempts };
}
