import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SimulatedFinalization } from "../../src/testing/simulated/simulated-finalization.js";
import { Pins, type StatePin } from "../../src/transaction/pins.js";

/** An engine that counts how often each version is pinned, a clock that goes on with each look, and a collector. */
function countingParts() {
  const counts = new Map<number, number>();
  const change = (version: number, by: number) => counts.set(version, (counts.get(version) ?? 0) + by);
  const engine = {
    pin: (version: number) => {
      change(version, 1);
      return { version, release: () => void change(version, -1) };
    },
  };
  let nowMs = 0;
  const finalization = new SimulatedFinalization();
  const parts = { engine, clock: { nowMs: () => ++nowMs }, runtime: { finalization } };
  return { counts, finalization, parts };
}

const step = fc.oneof(
  fc.record({ do: fc.constant("pin" as const), version: fc.nat(5), isHeld: fc.boolean() }),
  fc.record({ do: fc.constant("release" as const), choice: fc.nat() }),
  fc.record({ do: fc.constant("kill" as const), version: fc.nat(5) }),
  fc.record({ do: fc.constant("entrust" as const) }),
  fc.record({ do: fc.constant("collect" as const), choice: fc.nat() }),
);

it("releases each pin once, also by garbage collection, and a rollback ends those above it that are open", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const { counts, finalization, parts } = countingParts();
      let released = 0;
      const pins = new Pins(parts, () => released++);
      const all: PinState[] = [];
      for (const one of steps) {
        const chosen = "choice" in one ? all[one.choice % all.length] : undefined;
        const before = released;
        const wasOpen = chosen?.isOpen === true;
        if (one.do === "pin") all.push(new PinState(pins, one.version, one.isHeld ? {} : undefined));
        else if (one.do === "entrust") {
          pins.entrust();
          for (const each of all) each.isEntrusted = true;
        } else if (one.do === "kill") {
          pins.killAbove(one.version);
          for (const each of all) if (each.isOpen && each.pin.version > one.version) each.isAlive = false;
        } else if (chosen !== undefined) {
          const { isEntrusted, holder } = chosen;
          const isTaken = wasOpen && isEntrusted && holder !== undefined;
          if (one.do === "release") chosen.pin.release();
          else expect(finalization.collect((target) => target === holder)).toBe(isTaken ? 1 : 0);
          if (one.do === "release" || isTaken) chosen.isOpen = false;
          expect(released - before).toBe(wasOpen && !chosen.isOpen ? 1 : 0);
        }
        const open = all.filter(({ isOpen }) => isOpen);
        expect(pins.size).toBe(open.length);
        const byAge = open.toSorted((a, b) => a.pin.version - b.pin.version || a.pin.takenMs - b.pin.takenMs);
        expect(pins.oldest).toBe(byAge[0]?.pin);
        for (const { pin, isAlive } of all) expect(pin.alive).toBe(isAlive);
        for (const [version, count] of counts) {
          expect(count).toBe(open.filter(({ pin }) => pin.version === version).length);
        }
      }
    }),
  );
});

class PinState {
  readonly holder: object | undefined;
  readonly pin: StatePin;
  isOpen = true;
  isAlive = true;
  isEntrusted = false;

  constructor(pins: Pins, version: number, holder: object | undefined) {
    this.holder = holder;
    this.pin = pins.pin(version, "user", holder);
  }
}

describe("the garbage collector", () => {
  it("is told of a holder when it matters, and at the latest when there are more than 64", () => {
    const { finalization, parts } = countingParts();
    const pins = new Pins(parts, () => undefined);
    for (let i = 0; i < 63; i++) pins.pin(1, "user", {});
    for (let i = 0; i < 1000; i++) pins.pin(1, "user", {}).release();
    const told: object[] = [];
    const count = (target: object): boolean => told.push(target) === 0;
    expect([finalization.collect(count), told.length]).toEqual([0, 0]);
    for (let i = 0; i < 2; i++) pins.pin(1, "user", {});
    expect([finalization.collect(count), told.length]).toEqual([0, 65]);
    expect([finalization.collect(() => true), pins.size]).toEqual([65, 0]);
  });

  it("is told no more of a pin that was released", () => {
    const { finalization, parts } = countingParts();
    const pins = new Pins(parts, () => undefined);
    const pin = pins.pin(1, "user", {});
    pins.entrust();
    pin.release();
    expect(finalization.collect(() => true)).toBe(0);
  });
});
