import { describe, expect, test } from "vitest";
import { toHex } from "../../../src/base/bytes.js";
import type { Cryptography } from "../../../src/base/runtime/interface.js";
import { open, restore } from "../../../src/index.js";
import { nodeCryptography, Prng, type SimulatedDisk, simulatedStorage } from "../../../src/testing/index.js";
import { BACKUP, fill, machine, ONE, openOn } from "./support.js";

/** Records each nonce with its key, and fails on the first that comes twice. */
function spying(): { cryptography: Cryptography; sealed: Set<string> } {
  const sealed = new Set<string>();
  const cryptography: Cryptography = {
    ...nodeCryptography,
    sealInPlace(key, nonce, bytes, associated) {
      const mark = `${toHex(key)} ${toHex(nonce)}`;
      if (sealed.has(mark)) throw new Error(`the nonce ${toHex(nonce)} comes twice under one key`);
      sealed.add(mark);
      nodeCryptography.sealInPlace(key, nonce, bytes, associated);
    },
  };
  return { cryptography, sealed };
}

describe("nonces", () => {
  const seed = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

  test(`never come twice, whatever is refused, cut off or opened again (seed ${seed})`, async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography, seed);
    const prng = new Prng(`nonces ${seed}`);
    // As many lives as it takes to seal enough, with any seed; the cap ends a run that seals nothing.
    for (let life = 0; life < 25 || (sealed.size <= 300 && life < 1000); life++) {
      const db = await openOn({ runtime: storage.restart() }, { key: ONE });
      for (let i = prng.below(12); i >= 0; i--) {
        if (prng.chance(0.2)) {
          const bytes = prng.below(300);
          storage.disk.faults.add({ operations: ["write"], path: ".log", bytes, code: "ENOSPC" });
        }
        const writes = [0, 1, 2].map((n) => db.set(`k${prng.below(9)}`, `${life} ${i} ${n}`.repeat(40)));
        await Promise.allSettled(writes);
        storage.disk.faults.clear();
      }
      if (prng.chance(0.3)) await db.checkpoint();
      if (prng.chance(0.4)) await db.close();
      else if (prng.chance(0.5)) storage.powerCut();
      else storage.kill();
    }
    expect(sealed.size).toBeGreaterThan(300);
  });

  test("nor in two copies of a directory that are both gone on with", async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography);
    const db = await openOn(storage, { key: ONE });
    await db.set("a", "1");
    await db.close();
    const before = sealed.size;
    for (const value of ["left", "right"]) {
      const copy = simulatedStorage({ disk: storage.disk.fork(), seed: value.length, cryptography });
      const opened = await openOn(copy, { key: ONE });
      await opened.set("b", value);
      await opened.close();
    }
    expect(sealed.size).toBe(before + 2);
  });

  test(`nor in what any crash leaves, each of it opened and gone on with twice (seed ${seed})`, async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography, seed);
    const prng = new Prng(`crashes ${seed}`);
    const images: SimulatedDisk[] = [];
    // Any moments, but never far from each other, so that no seed has too few of them.
    let left = prng.below(80);
    storage.disk.onOperation = (operation, phase) => {
      if (phase !== "before" || !operation.mutates || left-- > 0) return;
      left = prng.below(80);
      images.push(storage.disk.fork(), ...storage.disk.durableImages(1, prng));
    };
    // Segments that are used again, a checkpoint that is cut off, a disk that refuses.
    for (let life = 0; life < 2; life++) {
      const db = await openOn({ runtime: storage.restart() }, { key: ONE });
      await fill(db, 0, 20);
      await db.checkpoint();
      await fill(db, 20, 20);
      storage.disk.faults.add({ operations: ["write"], path: ".log", bytes: 50, code: "ENOSPC" });
      await Promise.allSettled([db.set("a", "1"), db.set("b", "2")]);
      storage.disk.faults.clear();
      await db.checkpoint();
      await db.backup(`${BACKUP}.${life}`);
      if (life > 0) await db.close();
      else storage.kill();
    }
    storage.disk.onOperation = undefined;
    expect(images.length).toBeGreaterThan(3);
    const before = sealed.size;
    for (const [index, image] of images.entries()) {
      for (const side of ["left", "right"])
        await goOn(image.fork(), `${seed} ${index} ${side}`, cryptography);
    }
    expect(sealed.size).toBeGreaterThan(before + 12 * images.length);
  });

  test("nor in what is restored of one backup twice", async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography, seed);
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 5);
    await db.backup(BACKUP);
    await db.close();
    const before = sealed.size;
    for (const directory of ["/left", "/right"]) {
      const runtime = storage.restart();
      await restore(BACKUP, directory, { runtime, encryption: { key: ONE } });
      const options = { codec: "text", runtime, encryption: { key: ONE } } as const;
      const restored = await open<string>(directory, options);
      await restored.set("a", directory);
      await restored.close();
    }
    expect(sealed.size).toBeGreaterThan(before + 8);
  });
});

/** Opens an image on a machine of its own, writes, and does so again after a crash. */
async function goOn(disk: SimulatedDisk, seed: string, cryptography: Cryptography): Promise<void> {
  const storage = simulatedStorage({ disk, seed, cryptography });
  const first = await openOn(storage, { key: ONE });
  await first.set("a", seed);
  await first.checkpoint();
  await first.set("b", seed);
  storage.kill();
  const second = await openOn({ runtime: storage.restart() }, { key: ONE });
  await second.set("c", seed);
  await second.close();
}
