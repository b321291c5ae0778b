import { expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { open, type Store } from "../../src/index.js";

/** From a life that is over at once to one that no call comes to the end of. */
const LIVES_MS = Array.from({ length: 40 }, (_, index) => index + 1);

/** A clock that goes on by a ms with each look at it. */
class TickingClock {
  ms = 1_800_000_000_000;

  wallMs(): number {
    return this.ms++;
  }

  monotonicMs(): number {
    return 0;
  }
}

async function ticking(): Promise<{ readonly db: Store<number>; readonly clock: TickingClock }> {
  const clock = new TickingClock();
  return { db: await open<number>(undefined, { runtime: { ...nodeRuntime(), clock } }), clock };
}

it("all checks of an atomic operation are of one moment: what expires together is gone together", async () => {
  const { db, clock } = await ticking();
  const failed = new Set<string>();
  for (const life of LIVES_MS) {
    const expiresAt = clock.ms + life;
    await db.batch(["a", "b"].map((key) => ({ type: "set", key, value: 1, expiresAt }) as const));
    const checks = [
      { key: "a", exists: true },
      { key: "b", exists: false },
    ];
    const outcome = await db
      .atomic()
      .check(...checks)
      .commit();
    failed.add(outcome.ok ? "none" : outcome.failed.map(({ key }) => key).join());
  }
  expect([...failed].sort()).toEqual(["a", "b"]);
  await db.close();
});

it("counters that expire together are raised together, or begun anew together", async () => {
  const { db, clock } = await ticking();
  const raise: readonly (() => Promise<unknown>)[] = [
    () => db.transact((tx) => ["a", "b"].map((key) => tx.increment(key)).length),
    () => db.atomic().increment("a").increment("b").commit(),
  ];
  for (const once of raise) {
    for (const life of LIVES_MS) {
      const expiresAt = clock.ms + life;
      await db.batch(["a", "b"].map((key) => ({ type: "set", key, value: 5, expiresAt }) as const));
      await once();
      // What was raised may be gone by now, and what was begun anew has no deadline.
      const begun = ["a", "b"].filter((key) => db.get(key) === 1);
      expect([0, 2]).toContain(begun.length);
    }
  }
  await db.close();
});

it("a counter that was there when that was judged is raised, and not begun anew", async () => {
  const { db, clock } = await ticking();
  const raise: readonly (() => Promise<unknown>)[] = [
    () => db.transact((tx) => void (tx.has("counter") && tx.increment("counter")), { retries: 0 }),
    () => db.atomic().check({ key: "counter", exists: true }).increment("counter").commit(),
  ];
  for (const once of raise) {
    for (const life of LIVES_MS) {
      await db.set("counter", 5, { expiresAt: clock.ms + life });
      // Whoever loses to the deadline does nothing.
      await once().catch(({ code }) => expect(code).toBe("CONFLICT"));
      expect([5, 6, undefined]).toContain(db.get("counter"));
    }
  }
  await db.close();
});
