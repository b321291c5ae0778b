import { afterEach, expect, test } from "vitest";
import { open } from "../../src/index.js";

const SEARCHES = ["findIndex", "findLastIndex"] as const;
const originals = SEARCHES.map((name) => [name, Array.prototype[name]] as const);

afterEach(() => {
  for (const [name, value] of originals) define(name, value);
});

function define(name: string, value: unknown): void {
  Object.defineProperty(Array.prototype, name, { value, configurable: true, writable: true });
}

test("a transaction that tries many steps and takes each back looks at few savepoints for it", async () => {
  const steps = 2000;
  let looks = 0;
  for (const [name, original] of originals) {
    define(name, function (this: unknown[], found: (...args: unknown[]) => boolean) {
      const counted = (...args: unknown[]): boolean => {
        looks++;
        return found(...args);
      };
      return Reflect.apply(original, this, [counted]);
    });
  }
  await using db = await open<number>();
  await db.transact((tx) => {
    for (let i = 0; i < steps; i++) {
      const savepoint = tx.savepoint();
      tx.set(i, i);
      tx.rollbackTo(savepoint);
    }
    tx.set("kept", 1);
  });
  expect([...db.keys()]).toEqual(["kept"]);
  expect(looks).toBeLessThan(2 * steps);
});
