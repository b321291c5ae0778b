import { expect, test } from "vitest";
import type { Runtime } from "../../../src/base/runtime/interface.js";
import { TurnGuard } from "../../../src/durability/turn-guard.js";

/** A clock that is set by hand, and tasks that wait until they are run by hand. */
function byHand() {
  const state = { nowMs: 100, soon: 0, turns: [] as (() => void)[] };
  const runtime = {
    clock: { monotonicMs: () => state.nowMs },
    timers: {
      soon: (task: () => void) => {
        state.soon++;
        task();
      },
      turn: () => new Promise<void>((resolve) => state.turns.push(resolve)),
    },
  } as unknown as Runtime;
  let ran = 0;
  const guard = new TurnGuard(runtime);
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) guard.run(() => ran++);
  };
  const turn = async (): Promise<void> => {
    for (const resolve of state.turns.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { state, run, turn, ran: () => ran };
}

test("so many tasks run soon, what comes after them waits for a turn of the event loop", async () => {
  const { state, run, turn, ran } = byHand();
  run(256);
  expect([state.soon, ran(), state.turns.length]).toEqual([256, 256, 1]);
  run(2);
  expect([state.soon, ran(), state.turns.length]).toEqual([256, 256, 3]);
  await turn();
  expect([state.soon, ran()]).toEqual([256, 258]);
});

test("two ms after the first task the next waits for a turn", async () => {
  const { state, run, turn, ran } = byHand();
  run(1);
  state.nowMs += 1.9;
  run(1);
  expect([state.soon, ran()]).toEqual([2, 2]);
  state.nowMs += 0.1;
  run(1);
  expect([state.soon, ran()]).toEqual([2, 2]);
  await turn();
  expect([state.soon, ran()]).toEqual([2, 3]);
});

test("after a turn tasks run soon again, counted and timed anew", async () => {
  const { state, run, turn } = byHand();
  run(256);
  state.nowMs += 50;
  await turn();
  run(256);
  expect(state.soon).toBe(512);
  run(1);
  expect(state.soon).toBe(512);
});
