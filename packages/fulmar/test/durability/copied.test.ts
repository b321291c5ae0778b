import { expect, test } from "vitest";
import { verifyDirectory } from "../../src/durability/verify.js";
import type { SimulatedDisk, SimulatedStorage } from "../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine, machineOn, ROOT, replayed, type Written } from "./harness.js";

/** A directory that was closed in order, and copied since: its manifest is another file. */
async function copied(): Promise<{ storage: SimulatedStorage; written: Written[] }> {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  await store.save("a", "1");
  await store.checkpoint();
  await store.save("b", "2");
  await store.close();
  const [, bytes] = filesOf(storage, "MANIFEST")[0];
  const { fileSystem } = storage.restart();
  await fileSystem.remove(`${ROOT}/MANIFEST`);
  const copy = await fileSystem.open(`${ROOT}/MANIFEST`, "create");
  await copy.write(bytes, 0);
  await copy.syncData();
  await copy.close();
  await fileSystem.syncDirectory(ROOT);
  return { storage, written: store.written };
}

test("T-REC-09: a copy of a closed directory opens after crashes at every step of its first openings", async () => {
  const { storage, written } = await copied();
  let disks: SimulatedDisk[] = [storage.disk];
  let opened = 0;
  // What an opening leaves that was cut off is opened in turn, and cut off again.
  for (let generation = 0; generation < 3; generation++) {
    const cutOff: SimulatedDisk[] = [];
    for (const disk of disks) {
      const { prng } = disk;
      const fork = machineOn(disk.fork());
      fork.disk.onOperation = (operation, phase) => {
        if (phase !== "before" || !operation.mutates) return;
        if (generation === 0 || prng.chance(0.3)) cutOff.push(...fork.disk.durableImages(2));
      };
      expect(await verifyDirectory(machineOn(disk.fork()).runtime, ROOT)).toMatchObject({ ok: true });
      const store = await MiniStore.open(fork.runtime);
      fork.disk.onOperation = undefined;
      expect(store.contents()).toEqual(replayed(written));
      await store.save("c", "3");
      fork.powerCut();
      const again = await MiniStore.open(fork.restart());
      expect(again.contents().get("c")).toBe("3");
      await again.close();
      opened++;
    }
    disks = cutOff;
  }
  expect(opened).toBeGreaterThan(20);
});
