import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NUMBERS_MAX } from "../../src/base/limits.js";
import {
  HLC_EPOCH_MS,
  HLC_TICKS_PER_MS,
  HybridClock,
  hlcFromWall,
  WALL_MS_MAX,
  wallFromHlc,
} from "../../src/record/hybrid-clock.js";

const BASE = HLC_EPOCH_MS + 1_000_000;

function clockAt(wallMs: number): { clock: HybridClock; set(wallMs: number): void } {
  let now = wallMs;
  const clock = new HybridClock({ wallMs: () => now, monotonicMs: () => 0 });
  const set = (next: number): void => {
    now = next;
  };
  return { clock, set };
}

describe("HybridClock", () => {
  it("gives rising times above everything it was shown, whatever the wall clock does", () => {
    const event = fc.oneof(
      fc.record({ type: fc.constant("wall" as const), ms: fc.integer({ min: -5000, max: 5000 }) }),
      fc.record({ type: fc.constant("next" as const), ms: fc.integer({ min: -50, max: 50 }) }),
      fc.record({ type: fc.constant("observe" as const), ms: fc.integer({ min: -5000, max: 5000 }) }),
    );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const { clock, set } = clockAt(BASE);
        let newest = 0;
        let now = 0;
        for (const { type, ms } of events) {
          const hlc = hlcFromWall(BASE + ms) + (ms & 7);
          if (type === "wall") set(BASE + ms);
          else if (type === "observe") {
            clock.observe(hlc);
            newest = Math.max(newest, hlc);
          } else {
            const time = clock.next();
            expect(time).toBeGreaterThan(newest);
            newest = time;
          }
          expect(clock.last).toBe(newest);
          const read = clock.nowMs();
          expect(read).toBeGreaterThanOrEqual(Math.max(now, wallFromHlc(newest)));
          now = read;
        }
      }),
      { numRuns: 500 },
    );
  });

  it("follows the wall clock", () => {
    const { clock, set } = clockAt(BASE);
    expect(clock.next()).toBe(hlcFromWall(BASE));
    set(BASE + 10);
    expect([clock.nowMs(), clock.next()]).toEqual([BASE + 10, hlcFromWall(BASE + 10)]);
  });

  it("judges deadlines by a time that does not go back with the wall clock", () => {
    const { clock, set } = clockAt(BASE + 500);
    expect(clock.nowMs()).toBe(BASE + 500);
    set(BASE);
    expect(clock.nowMs()).toBe(BASE + 500);
  });

  it("carries a counter that overflows into the next ms", () => {
    const { clock } = clockAt(BASE);
    const first = clock.next();
    for (let i = 1; i < HLC_TICKS_PER_MS; i++) clock.next();
    expect(wallFromHlc(clock.last)).toBe(BASE);
    expect(clock.next()).toBe(first + HLC_TICKS_PER_MS);
    expect(wallFromHlc(clock.last)).toBe(BASE + 1);
  });

  it("calls ahead what is more than the drift in the future, to the tick", () => {
    const { clock } = clockAt(BASE);
    const limit = hlcFromWall(BASE + 60_000);
    expect([clock.isAhead(limit, 60_000), clock.isAhead(limit + 1, 60_000)]).toEqual([false, true]);
  });

  it("starts at its epoch, and stays exact until 2089", () => {
    expect(hlcFromWall(HLC_EPOCH_MS - 1)).toBe(0);
    const late = Date.UTC(2089, 0, 1) + 0.7;
    expect(wallFromHlc(hlcFromWall(late) + HLC_TICKS_PER_MS - 1)).toBe(Date.UTC(2089, 0, 1));
    expect(Number.isSafeInteger(hlcFromWall(late) + HLC_TICKS_PER_MS)).toBe(true);
  });

  it("only counts while the wall clock shows what no directory may hold", () => {
    const { clock, set } = clockAt(BASE);
    const first = clock.next();
    for (const wall of [WALL_MS_MAX + 1, Date.UTC(2106, 1, 7), 8.64e15, Infinity, Number.NaN]) {
      set(wall);
      expect([clock.nowMs(), clock.isAhead(first + 1, 60_000)]).toEqual([BASE, true]);
      clock.next();
    }
    expect(clock.last).toBe(first + 5);
    set(BASE + 1);
    expect([clock.next(), clock.nowMs()]).toEqual([first + HLC_TICKS_PER_MS, BASE + 1]);
    set(WALL_MS_MAX);
    expect(clock.next()).toBeLessThan(NUMBERS_MAX);
  });
});
