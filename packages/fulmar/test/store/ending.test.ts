import { beforeEach, expect, test } from "vitest";
import { Ending } from "../../src/store/ending.js";

/** The timers that were set, and what was asked to hear of the end of the store. */
let timers: { readonly delayMs: number; readonly task: () => void; cancelled: boolean }[];
let listeners: Set<(cause?: Error) => void>;
let nowMs: number;

beforeEach(() => {
  timers = [];
  listeners = new Set();
  nowMs = 5;
});

const TIMEOUT = expect.objectContaining({ code: "TIMEOUT", details: { timeoutMs: 10 } });
const never = new Promise<never>(() => undefined);

/** What ends a transaction that begins now and has 10 ms. */
function ending(signal?: AbortSignal): Ending {
  const after = (delayMs: number, task: () => void) => {
    const timer = { delayMs, task, cancelled: false };
    timers.push(timer);
    return {
      cancel: () => {
        timer.cancelled = true;
      },
    };
  };
  const onEnd = (listener: (cause?: Error) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const runtime = { clock: { monotonicMs: () => nowMs }, timers: { after } };
  const core = { parts: { runtime }, onEnd, assertOpen: () => undefined };
  const plan = { isolation: "serializable", retries: 0, signal, timeoutMs: 10, durability: undefined };
  return new Ending(core as never, plan as never);
}

test("a transaction is over when its time is, and not before", () => {
  const end = ending();
  nowMs = 14;
  end.check();
  nowMs = 15;
  expect(() => end.check()).toThrow(TIMEOUT);
});

test("whoever waits again waits for the rest of the time, by one timer", async () => {
  const end = ending();
  nowMs = 9;
  expect(await end.race(Promise.resolve("first"))).toBe("first");
  const second = end.race(never);
  expect([timers.map(({ delayMs }) => delayMs), listeners.size]).toEqual([[6], 1]);
  timers[0].task();
  await expect(second).rejects.toEqual(TIMEOUT);
});

test("what has stopped waits for nothing, and what comes late ends nothing", async () => {
  const controller = new AbortController();
  const end = ending(controller.signal);
  let outcome = "none";
  const told = (): void => {
    outcome = "told";
  };
  end.race(never).then(told, told);
  const [listener] = listeners;
  end.stop();
  expect([timers[0].cancelled, listeners.size]).toEqual([true, 0]);
  timers[0].task();
  listener();
  controller.abort();
  await Promise.resolve();
  expect(outcome).toBe("none");
});
