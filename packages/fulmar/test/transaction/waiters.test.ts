import fc from "fast-check";
import { expect, it } from "vitest";
import { Waiters } from "../../src/transaction/waiters.js";

const step = fc.oneof(
  fc.record({ do: fc.constant("add" as const), by: fc.nat(3) }),
  fc.record({ do: fc.constant("release" as const), behind: fc.nat(6) }),
  fc.record({ do: fc.constant("take" as const), behind: fc.nat(6) }),
);

it("resolves in order up to a version and gives out those above one, as a plain array does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const waiters = new Waiters();
      let model: { version: number; outcome: number }[] = [];
      const resolved: unknown[] = [];
      const expected: unknown[] = [];
      let version = 0;
      for (const [outcome, one] of steps.entries()) {
        if (one.do === "add") {
          version += one.by;
          waiters.add(
            version,
            outcome,
            (given) => resolved.push(given),
            () => {},
          );
          model.push({ version, outcome });
        } else if (one.do === "release") {
          const through = version - one.behind;
          waiters.release(through);
          for (const waiter of model) if (waiter.version <= through) expected.push(waiter.outcome);
          model = model.filter((waiter) => waiter.version > through);
        } else {
          const after = version - one.behind;
          const taken = waiters.takeAbove(after);
          expect(taken.map((waiter) => waiter.outcome)).toEqual(
            model.filter((waiter) => waiter.version > after).map((waiter) => waiter.outcome),
          );
          model = model.filter((waiter) => waiter.version <= after);
        }
        expect(resolved).toEqual(expected);
      }
    }),
  );
});
