import { expect, test } from "vitest";
import type { Runtime } from "../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import { type Encryption, open, repair, verify } from "../../src/index.js";
import { type SimulatedStorage, simulatedStorage } from "../../src/testing/simulated/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { edit, filesOf } from "./harness.js";

const cryptography = nodeCryptography;
const ROUNDS = Number(process.env.FULMAR_ROUNDS ?? 150);
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

interface World {
  readonly storage: SimulatedStorage;
  readonly values: Map<string, Set<string>>;
  readonly key: { readonly encryption: Encryption } | undefined;
}

/** A store with two generations of values, a checkpoint and several segments, killed or closed, and what it held. */
async function written(closes: boolean, key?: { readonly encryption: Encryption }): Promise<World> {
  const storage = simulatedStorage({ cryptography, sectorBytes: 512, seed: 21 });
  const values = new Map<string, Set<string>>();
  const runtime: Runtime = storage.runtime;
  const db = await open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536, ...key });
  for (let n = 0; n < 60; n++) {
    const [key, value] = [`k${n % 25}`, `${n} ${"x".repeat(100 * (n % 30))}`];
    values.set(key, (values.get(key) ?? new Set()).add(value));
    if (n % 11 === 10) await db.delete(key);
    else await db.set(key, value);
    if (n === 35) await db.checkpoint();
  }
  if (closes) await db.close();
  else storage.kill();
  return { storage, values, key };
}

/** Damages one file in one way; several of these may meet in one. */
async function hurt(storage: SimulatedStorage, random: Prng): Promise<string> {
  const files = filesOf(storage, "/data/").filter(([path]) => !path.includes("LOCK"));
  const [path, bytes] = files[random.below(files.length)];
  const place = random.below(Math.max(1, bytes.length));
  switch (random.below(6)) {
    case 0:
      await storage.restart().fileSystem.remove(path);
      return `${path} removed`;
    case 1:
      await edit(storage, path, (whole) => whole.slice(0, place));
      return `${path} cut at ${place}`;
    case 2:
      await edit(storage, path, (whole) => whole.fill(0, place, place + 512));
      return `${path} zeros at ${place}`;
    default:
      await edit(storage, path, (whole) => {
        if (whole.length > 0) whole[place] ^= 1 << random.below(8);
        return whole;
      });
      return `${path} flipped at ${place}`;
  }
}

test(`T-FUZZ-01: a repair of any damage ends in a store of true values, or says why not (seed ${SEED})`, async () => {
  const random = new Prng(SEED);
  const sealed = { encryption: { key: new Uint8Array(32).fill(5), refusePlain: true } };
  const stores = [
    await written(true),
    await written(false),
    await written(true, sealed),
    await written(false, sealed),
  ];
  const outcomes = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const { storage: whole, values, key } = stores[round % stores.length];
    const storage = simulatedStorage({ cryptography, disk: whole.disk.fork(), seed: round + 1 });
    const done: string[] = [];
    for (let count = 1 + random.below(3); count > 0; count--) done.push(await hurt(storage, random));
    const label = `round ${round}${key === undefined ? "" : ", sealed"}: ${done.join(", ")}`;
    const report = await repair("/data", { runtime: storage.restart(), ...key }).catch(
      (error: { code: string }) => error,
    );
    if ("code" in report) {
      expect(["NOT_A_STORE", "FORMAT_NEWER", "FORMAT_OLDER"], label).toContain(report.code);
      outcomes.set(report.code, (outcomes.get(report.code) ?? 0) + 1);
      continue;
    }
    outcomes.set(`repaired ${report.repaired}`, (outcomes.get(`repaired ${report.repaired}`) ?? 0) + 1);
    expect(await verify("/data", { runtime: storage.restart(), ...key }), label).toMatchObject({ ok: true });
    const db = await open<string>("/data", { runtime: storage.restart(), codec: "text", ...key });
    for (const { key, value } of db.list()) expect(values.get(key as string)?.has(value), label).toBe(true);
    if (report.repaired) expect(db.count(), label).toBeLessThanOrEqual(report.entries);
    await db.set("after", "works");
    await db.close();
  }
  expect(outcomes.get("repaired true") ?? 0).toBeGreaterThan(ROUNDS / 3);
}, 900_000);
