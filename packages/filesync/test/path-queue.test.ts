import { expect, onTestFinished, test, vi } from "vitest";
import { ByteBudget, KeyedLock } from "../src/limits.js";
import { type Outcome, PathQueue } from "../src/path-queue.js";

test("a path is worked on once at a time, and again if it was asked for meanwhile", async () => {
  const releases: (() => void)[] = [];
  const started: string[] = [];
  const queue = new PathQueue((path) => {
    started.push(path);
    return new Promise<Outcome>((resolve) => releases.push(() => resolve("done")));
  }, 4);
  queue.add("a");
  queue.add("a");
  queue.add("a");
  expect(started).toEqual(["a"]);
  releases.shift()?.();
  await vi.waitFor(() => expect(started).toEqual(["a", "a"]), 100_000);
  releases.shift()?.();
  await queue.idle();
  expect(queue.size).toBe(0);
});

test("a rest that was asked for is kept, also while running, whoever asks without one", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const releases: (() => void)[] = [];
  const queue = new PathQueue(
    () => new Promise<Outcome>((resolve) => releases.push(() => resolve("done"))),
    1,
  );
  queue.add("a", 50);
  queue.add("a");
  await vi.advanceTimersByTimeAsync(49);
  expect(releases.length).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(releases.length).toBe(1);
  queue.add("a", 50);
  queue.add("a");
  releases[0]?.();
  await vi.advanceTimersByTimeAsync(49);
  expect(releases.length).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(releases.length).toBe(2);
  releases[1]?.();
  await queue.idle();
});

test("no more tasks run than allowed, and all paths get their turn", async () => {
  let running = 0;
  let most = 0;
  const done: string[] = [];
  const queue = new PathQueue(async (path) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    done.push(path);
    return "done";
  }, 3);
  const paths = Array.from({ length: 5000 }, (_, i) => `p${i}`);
  for (const path of paths) queue.add(path);
  await queue.idle();
  expect(most).toBe(3);
  expect(done).toEqual(paths);
});

test("what is not finished is tried again; closing forgets what waits", async () => {
  let attempts = 0;
  const queue = new PathQueue(async () => (++attempts < 3 ? "again" : "done"), 1);
  queue.add("a");
  await queue.idle();
  expect(attempts).toBe(3);
  queue.add("later", 60_000);
  expect(queue.size).toBe(1);
  await queue.close();
  expect(queue.size).toBe(0);
  queue.add("b");
  expect(attempts).toBe(3);
});

test("a lock runs tasks of one key in order and lets others pass; a failure does not hold it", async () => {
  const lock = new KeyedLock();
  const order: string[] = [];
  let release = (): void => {};
  const first = lock.run("k", () =>
    new Promise<void>((resolve) => (release = resolve)).then(() => void order.push("first")),
  );
  const failing = lock.run("k", async () => {
    order.push("failing");
    throw new Error("no");
  });
  const last = lock.run("k", async () => void order.push("last"));
  await lock.run("other", async () => void order.push("other"));
  release();
  await expect(failing).rejects.toThrow("no");
  await Promise.all([first, last]);
  expect(order).toEqual(["other", "first", "failing", "last"]);
});

test("a budget bounds what is held at once, in order, and lets an oversized request have all", async () => {
  const budget = new ByteBudget(10);
  const log: string[] = [];
  const releases: (() => void)[] = [];
  const hold = (name: string, bytes: number): Promise<void> =>
    budget.hold(bytes, () => {
      log.push(name);
      return new Promise<void>((resolve) => releases.push(resolve));
    });
  const all = [hold("a", 6), hold("b", 4), hold("huge", 1000), hold("c", 1)];
  expect(log).toEqual(["a", "b"]);
  releases.shift()?.();
  releases.shift()?.();
  await vi.waitFor(() => expect(log).toEqual(["a", "b", "huge"]), 100_000);
  releases.shift()?.();
  await vi.waitFor(() => expect(log).toEqual(["a", "b", "huge", "c"]), 100_000);
  releases.shift()?.();
  await Promise.all(all);
});
