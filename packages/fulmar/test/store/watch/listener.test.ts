import { describe, expect, test, vi } from "vitest";
import { open } from "../../../src/index.js";

describe("a listener with a signal", () => {
  test("is called no more from the signal on, and the others are", async () => {
    await using db = await open<number>();
    const users = db.namespace<number>("users");
    const stop = new AbortController();
    const seen: unknown[] = [];
    db.watch({}, ({ version }) => seen.push(["store", version]), { signal: stop.signal });
    users.watch({}, ({ version }) => seen.push(["users", version]), { signal: stop.signal });
    db.watch({}, ({ version }) => seen.push(["other", version]), {});
    await db.set("k", 1);
    await users.set("k", 2);
    stop.abort("enough");
    await db.set("k", 3);
    await users.set("k", 4);
    expect(seen).toEqual([
      ["store", 1],
      ["other", 1],
      ["users", 2],
      ["other", 3],
    ]);
  });

  test("that came first, is not called at all", async () => {
    await using db = await open<number>();
    const listener = vi.fn();
    const watch = db.watch({}, listener, { signal: AbortSignal.abort() });
    await db.set("k", 1);
    expect(listener).not.toHaveBeenCalled();
    watch.close();
  });

  test.each(["close", "store"] as const)("lets go of it when the watch ends: %s", async (how) => {
    const db = await open<number>();
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    const watch = db.watch({}, () => undefined, { signal });
    if (how === "close") watch.close();
    await db.close();
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed.mock.calls.map(([, listener]) => listener)).toContain(added.mock.calls[0][1]);
  });
});

test("beside a listener what only a stream has use for is refused, beside a stream every third argument", async () => {
  await using db = await open<number>();
  const listener = vi.fn();
  const code = (how: unknown, third: unknown): unknown => {
    try {
      db.watch("k", how as never, third as never);
    } catch (error) {
      return (error as { code: string }).code;
    }
    return undefined;
  };
  for (const options of [{ since: 0 }, { coalesce: true }, { limits: {} }, { signl: 1 }]) {
    expect(code(listener, options)).toBe("UNKNOWN_OPTION");
  }
  for (const third of [{ signal: {} }, null, 5, [], () => undefined]) {
    expect(code(listener, third)).toBe("INVALID_ARGUMENT");
  }
  expect([code({}, {}), code({ since: 0 }, listener), code(undefined, {})]).toEqual(
    Array(3).fill("INVALID_ARGUMENT"),
  );
  await db.set("k", 1);
  expect(listener).not.toHaveBeenCalled();
});
