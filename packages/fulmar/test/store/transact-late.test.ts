import { expect, it } from "vitest";
import { open, type Transaction } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import { interleaved } from "./interleaved.js";

/** Every way to ask whether there is an `x`. */
const READS: readonly (readonly [name: string, hasX: (tx: Transaction<string>) => boolean])[] = [
  ["get", (tx) => tx.get("x") !== undefined],
  ["has", (tx) => tx.has("x")],
  ["entry", (tx) => tx.entry("x") !== undefined],
  ["list", (tx) => [...tx.list({ gte: "x", lt: "y" })].length > 0],
  ["reverse", (tx) => [...tx.list({ prefix: "x", reverse: true })].length > 0],
  ["keys", (tx) => [...tx.keys({ lte: "x" })].length > 0],
  ["count", (tx) => tx.count({ gte: "x", lt: "y" }) > 0],
];

/** A gate that a transaction waits at. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let pass = (): void => {};
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  return { passed, open: () => pass() };
}

it.each(READS)(
  "T-SSI-01: an old version that is read after the other committed conflicts: %s",
  async (_, hasX) => {
    await using db = await open<string>(undefined, { codec: "text" });
    for (const retries of [0, 5]) {
      await db.batch(["x", "y"].map((key) => ({ type: "set", key, value: "1" }) as const));
      const [begun, committed] = [gate(), gate()];
      const seen: boolean[] = [];
      const late = db.transact(
        async (tx) => {
          begun.open();
          await committed.passed;
          seen.push(hasX(tx));
          if (seen.at(-1) === true) tx.delete("y");
        },
        { retries },
      );
      late.catch(() => undefined);
      await begun.passed;
      // One of the two has to stay, so whoever takes one away looks for the other.
      await db.transact((tx) => void (tx.has("y") && tx.delete("x")));
      committed.open();
      if (retries === 0) await expect(late).rejects.toMatchObject({ code: "CONFLICT" });
      else await late;
      expect([db.has("x"), db.has("y"), seen]).toEqual([false, true, retries === 0 ? [true] : [true, false]]);
    }
  },
);

it("T-SSI-05: who read what a commit changed that the log then refused is not aborted for it", async () => {
  for (const read of ["point", "range"] as const) {
    const storage = simulatedStorage({ seed: 1, cryptography: nodeCryptography });
    const db = await open<string>("/data", { runtime: storage.runtime, codec: "text" });
    await db.set("k", "1");
    const one = await interleaved(
      db,
      (tx) => {
        const seen = read === "point" ? tx.get("k") : [...tx.list({ prefix: "k" })][0].value;
        tx.set("seen", `${seen}`);
      },
      async () => {
        storage.disk.faults.add({ operations: ["write"], path: ".log", code: "ENOSPC" });
        const other = db.transact((tx) => tx.set("k", `${tx.get("k")}2`), { retries: 0 });
        expect(db.get("k")).toBe("12");
        await expect(other).rejects.toMatchObject({ code: "DISK_FULL" });
        expect(db.get("k")).toBe("1");
        // The next commit of others has a version that the refused one may have had.
        await db.set("another", "1");
      },
      { retries: 0 },
    );
    await one.result;
    expect([db.get("k"), db.get("seen"), one.attempts()]).toEqual(["1", "1", 1]);
    await db.close();
  }
});
