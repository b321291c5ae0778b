import { expect, test } from "vitest";
import { open, type WriteOptions } from "../../src/index.js";

test("what has to stand within options is refused in their place", async () => {
  await using db = await open<unknown>();
  const { signal } = new AbortController();
  const trapped = new Proxy(
    {},
    {
      get: () => {
        throw new Error("trap");
      },
    },
  );
  const refusal = expect.objectContaining({ name: "TypeError", code: "INVALID_ARGUMENT" });
  for (const wrong of [new Date(), signal, new Map(), Promise.resolve(), /a/, trapped]) {
    await expect(db.set("k", 1, wrong as WriteOptions)).rejects.toEqual(refusal);
    await expect(db.transact(() => 1, wrong as never)).rejects.toEqual(refusal);
    expect(() => db.watch("k", wrong as never)).toThrow(refusal);
    expect(() => db.entry("k", wrong as never)).toThrow(refusal);
  }
  expect(db.version).toBe(0);
  class Options {
    get ttl() {
      return 60_000;
    }
  }
  for (const right of [{}, Object.create(null), new Options(), new Proxy({}, {})])
    await db.set("k", 1, right);
  expect(db.version).toBe(4);
});
