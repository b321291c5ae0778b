import { beforeEach, describe, expect, test } from "vitest";
import { repairDirectory } from "../../../src/durability/repair.js";
import { ROOT } from "../harness.js";
import { begin, contents, damaged, LEFT, repaired, storage } from "./repair-rig.js";

beforeEach(async () => {
  begin();
  await damaged();
});

describe("a repair", () => {
  test.each(["EROFS", "EACCES", "ENOSPC"] as const)(
    "changes nothing where its lock cannot be taken: %s",
    async (code) => {
      const before = storage.disk.fingerprint();
      const remove = storage.disk.faults.add({ operations: ["lock"], path: ROOT, code, times: 2 });
      await expect(repaired()).rejects.toThrow(/lock/);
      expect(storage.disk.fingerprint()).toBe(before);
      // Who only tells needs none.
      expect(await repaired({ dryRun: true })).toHaveProperty("note");
      remove();
      expect(await repaired()).not.toHaveProperty("note");
      expect(await contents()).toEqual(LEFT);
    },
  );

  test("that only tells says nothing of a lock that it could take, and lets go of it", async () => {
    const context = {
      runtime: storage.restart(),
      dryRun: true,
      stopped: () => false,
      progress: () => undefined,
    };
    expect(await repairDirectory(context, ROOT)).not.toHaveProperty("note");
    const stopped = repairDirectory({ ...context, stopped: () => true }, ROOT);
    await expect(stopped).rejects.toMatchObject({ code: "CLOSED" });
    expect(await repairDirectory({ ...context, dryRun: false }, ROOT)).toMatchObject({ repaired: true });
  });
});
