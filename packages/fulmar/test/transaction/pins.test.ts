import fc from "fast-check";
import { expect, it } from "vitest";
import type { MemoryEngine } from "../../src/memory/engine.js";
import { Pins, type StatePin } from "../../src/transaction/pins.js";

/** Counts how often each version is pinned, and nothing else. */
function countingEngine() {
  const counts = new Map<number, number>();
  const change = (version: number, by: number) => counts.set(version, (counts.get(version) ?? 0) + by);
  const engine = {
    pin: (version: number) => {
      change(version, 1);
      return { version, release: () => void change(version, -1) };
    },
  };
  return { counts, engine: engine as unknown as MemoryEngine };
}

const step = fc.oneof(
  fc.record({ do: fc.constant("pin" as const), version: fc.nat(5) }),
  fc.record({ do: fc.constant("release" as const), choice: fc.nat() }),
  fc.record({ do: fc.constant("kill" as const), version: fc.nat(5) }),
);

it("releases each pin once, and a rollback ends those above it that are still open", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
      const { counts, engine } = countingEngine();
      let released = 0;
      const pins = new Pins(engine, () => released++);
      const all: { pin: StatePin; isOpen: boolean; isAlive: boolean }[] = [];
      for (const one of steps) {
        if (one.do === "pin") all.push({ pin: pins.pin(one.version, "user"), isOpen: true, isAlive: true });
        else if (one.do === "release" && all.length > 0) {
          const chosen = all[one.choice % all.length];
          const before = released;
          chosen.pin.release();
          expect(released - before).toBe(chosen.isOpen ? 1 : 0);
          chosen.isOpen = false;
        } else if (one.do === "kill") {
          pins.killAbove(one.version);
          for (const each of all) if (each.isOpen && each.pin.version > one.version) each.isAlive = false;
        }
        const open = all.filter(({ isOpen }) => isOpen);
        expect(pins.size).toBe(open.length);
        for (const { pin, isAlive } of all) expect(pin.alive).toBe(isAlive);
        for (const [version, count] of counts) {
          expect(count).toBe(open.filter(({ pin }) => pin.version === version).length);
        }
      }
    }),
  );
});
