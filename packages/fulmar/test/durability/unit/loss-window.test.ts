import { describe, expect, it } from "vitest";
import type { Timers } from "../../../src/base/runtime/interface.js";
import type { Progress } from "../../../src/durability/log-writer-parts.js";
import { LossWindow } from "../../../src/durability/loss-window.js";

const POLICY = { intervalMs: 100, commits: 4, bytes: 400 };

/** So many commits of a byte each, the newest of which has the same version. */
function progress(commits: number): Progress {
  return { commits, bytes: commits, end: { segment: 1, position: commits, crc: 0, version: commits } };
}

function rig() {
  let nowMs = 0;
  const pending = new Set<{ readonly atMs: number; readonly task: () => void }>();
  const timers: Pick<Timers, "after"> = {
    after: (delayMs, task) => {
      const entry = { atMs: nowMs + delayMs, task };
      pending.add(entry);
      return { cancel: () => pending.delete(entry) };
    },
  };
  const state = { passed: 0 };
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs };
  const window = new LossWindow({ timers: timers as Timers, clock }, POLICY, 0, () => state.passed++);
  const advance = (byMs: number): void => {
    const untilMs = nowMs + byMs;
    for (;;) {
      const [next] = [...pending].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      nowMs = next.atMs;
      pending.delete(next);
      next.task();
    }
    nowMs = untilMs;
  };
  return { window, state, pending, advance };
}

describe("the window of what may be lost", () => {
  it("wants no sync where there is nothing, and one at half of a limit", () => {
    const { window } = rig();
    expect(window.isDue(progress(0), progress(0))).toBe(false);
    window.add(progress(2), progress(0));
    expect(window.isDue(progress(2), progress(0))).toBe(false);
    window.add(progress(3), progress(0));
    expect(window.isDue(progress(3), progress(0))).toBe(true);
    expect(window.tellable).toBe(3);
  });

  it("is as old as what the sync under way covers, whatever else begins beside it", () => {
    const { window, advance } = rig();
    window.add(progress(1), progress(0));
    window.syncBegins();
    advance(60);
    window.add(progress(2), progress(0));
    window.syncBegins();
    advance(40);
    window.add(progress(3), progress(0));
    expect(window.tellable).toBe(2);
  });

  it("has no time left to tell of once all is synced", () => {
    const { window, state, pending, advance } = rig();
    window.add(progress(2), progress(0));
    expect(pending.size).toBe(1);
    window.synced(progress(2), progress(2));
    expect(pending.size).toBe(0);
    advance(1000);
    expect(state.passed).toBe(0);
    window.add(progress(3), progress(2));
    expect(window.tellable).toBe(3);
  });

  it("tells of what is synced, and of no more, where what came behind is too old", () => {
    const { window, advance } = rig();
    window.add(progress(5), progress(0));
    window.syncBegins();
    window.add(progress(6), progress(0));
    expect(window.tellable).toBe(0);
    advance(100);
    window.synced(progress(6), progress(5));
    expect(window.tellable).toBe(5);
    window.syncBegins();
    window.synced(progress(6), progress(6));
    expect(window.tellable).toBe(6);
  });

  it("has nothing to say any more after it was closed", () => {
    const { window, state, pending, advance } = rig();
    window.add(progress(1), progress(0));
    window.syncBegins();
    window.add(progress(2), progress(0));
    expect(pending.size).toBe(2);
    window.close();
    expect(pending.size).toBe(0);
    advance(1000);
    expect(state.passed).toBe(0);
  });

  it("can be closed where there is nothing to lose, and where no sync is under way", () => {
    const { window, pending } = rig();
    window.close();
    window.add(progress(1), progress(0));
    window.close();
    expect(pending.size).toBe(0);
  });
});
