import { expect, it } from "vitest";
import { simulatedStorage } from "../../src/testing/simulated/index.js";

it("drives its own soon tasks, turns and foreground timers; background timers run with advance", async () => {
  const machine = simulatedStorage();
  const { timers, clock } = machine.runtime;
  const seen: string[] = [];
  timers.after(5, () => seen.push("background"), { background: true });
  await new Promise<void>((resolve) => timers.soon(resolve));
  await timers.turn();
  expect(seen).toEqual([]);
  const startMs = clock.monotonicMs();
  await machine.advance(10);
  expect(seen).toEqual(["background"]);
  await new Promise<void>((resolve) => timers.after(1000, resolve));
  expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(1000);
  machine.kill();
  timers.after(1, () => seen.push("after the kill"));
  await machine.advance(100);
  expect(seen).toEqual(["background"]);
});
