import { expect, test } from "vitest";
import { NUMBERS_MAX } from "../../src/base/limits.js";
import { nodeCryptography } from "../../src/base/runtime/node/cryptography.js";
import { open, repair, verify } from "../../src/index.js";
import { type SimulatedStorage, simulatedStorage } from "../../src/testing/simulated/index.js";
import { type Field, type Files, Forger, forgeries } from "./forging.js";
import { contents, edit, filesOf, MiniStore, ROOT, replayed, type Written } from "./harness.js";

/** How many of the numbers of one name are forged: there are hundreds that differ in nothing but their place. */
const PLACES = Number(process.env.FULMAR_PLACES ?? 1);
/** To how many other numbers each. */
const VALUES = Number(process.env.FULMAR_VALUES ?? 3);
/** Only numbers whose names hold this. */
const ONLY = process.env.FULMAR_FIELD ?? "";

/** A store that was closed, with a checkpoint and two segments, and the commits that it took. */
async function written(): Promise<{ storage: SimulatedStorage; commits: Written[] }> {
  const storage = simulatedStorage({ cryptography: nodeCryptography, sectorBytes: 512, seed: 5 });
  const commits: Written[] = [];
  const db = await open<string>(ROOT, { runtime: storage.runtime, codec: "text", segmentBytes: 65_536 });
  for (let n = 0; n < 24; n++) {
    if (n === 10) await db.checkpoint();
    const key = `k${n % 9}`;
    const value = n % 7 === 3 ? undefined : `${n} ${"x".repeat(n > 12 ? 15_000 : 9)}`;
    if (value === undefined) await db.delete(key);
    else await db.set(key, value, n % 5 === 4 ? { ttl: 1e9 } : {});
    commits.push({ version: db.version, key, value });
  }
  await db.close();
  return { storage, commits };
}

function below(storage: SimulatedStorage): Files {
  return new Map(
    filesOf(storage, `${ROOT}/`)
      .filter(([path]) => !path.includes("LOCK"))
      .map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]),
  );
}

async function replaceFiles(storage: SimulatedStorage, before: Files, after: Files): Promise<void> {
  for (const [name, bytes] of after) {
    const same = Buffer.compare(bytes, before.get(name) as Uint8Array) === 0;
    if (!same) await edit(storage, `${ROOT}/${name}`, () => bytes);
  }
}

interface Case {
  readonly field: Field;
  readonly value: number;
}

function casesOf(forger: Forger): Case[] {
  const places = new Map<string, Field[]>();
  for (const field of forger.fields) places.set(field.name, [...(places.get(field.name) ?? []), field]);
  return [...places.values()].flatMap((fields) => {
    const step = Math.max(1, Math.floor(fields.length / PLACES));
    const chosen = fields.filter((_, i) => i % step === step >> 1).filter(({ name }) => name.includes(ONLY));
    return chosen.flatMap((field) =>
      forgeries(forger.valueOf(field), field.width)
        .slice(0, VALUES)
        .map((value) => ({ field, value })),
    );
  });
}

class Trial {
  readonly #whole: SimulatedStorage;
  readonly #files: Files;
  readonly #forger: Forger;
  readonly #expected: ReadonlyMap<string, string>;
  readonly #truth = new Map<string, Set<string>>();

  constructor(whole: SimulatedStorage, files: Files, forger: Forger, commits: readonly Written[]) {
    this.#whole = whole;
    this.#files = files;
    this.#forger = forger;
    this.#expected = replayed(commits);
    for (const { key, value } of commits) {
      if (value !== undefined) this.#truth.set(key, (this.#truth.get(key) ?? new Set()).add(value));
    }
  }

  /** What is wrong with what becomes of a store with one number forged. */
  async run({ field, value }: Case): Promise<string[]> {
    const storage = this.#fork(this.#whole);
    await replaceFiles(storage, this.#files, this.#forger.forged(field, value));
    const { ok, findings } = await verify(ROOT, { runtime: storage.restart() });
    const opening = await this.#open(this.#fork(storage));
    if (ok)
      return opening.error === undefined ? [] : [`is found right, but opening says ${opening.error.message}`];
    const { error } = opening;
    if (error === undefined) return [`opens, but the check says ${findings[0].message}`];
    const isTyped = ["CORRUPT", "FORMAT_NEWER", "FORMAT_OLDER"].includes(error.code);
    if (!isTyped || !error.message.includes(ROOT)) return [`is refused with ${error.code} ${error.message}`];
    return this.#repair(storage, error.code);
  }

  async #repair(storage: SimulatedStorage, code: string): Promise<string[]> {
    const report = await repair(ROOT, { runtime: storage.restart() }).catch(
      (error: { code: string }) => error,
    );
    if ("code" in report)
      return report.code === code && code !== "CORRUPT" ? [] : [`no repair: ${report.code}`];
    const { ok, findings } = await verify(ROOT, { runtime: storage.restart() });
    if (!ok || findings.length > 0) return [`the repair leaves ${findings[0].message}`];
    const { error, found } = await this.#open(storage);
    if (error !== undefined) return [`does not open after the repair: ${error.message}`];
    const wrong: string[] = [];
    for (const [key, text] of found) if (!this.#truth.get(key)?.has(text)) wrong.push(`holds a false ${key}`);
    const same =
      found.size === this.#expected.size &&
      [...found].every(([key, text]) => this.#expected.get(key) === text);
    const told = report.files.some(({ lost }) => lost.length > 0);
    if (!same && !told) wrong.push("lost something silently");
    return wrong;
  }

  #fork(storage: SimulatedStorage): SimulatedStorage {
    return simulatedStorage({ cryptography: nodeCryptography, disk: storage.disk.fork(), seed: 3 });
  }

  /** Opens it, writes, and opens it again. */
  async #open(
    storage: SimulatedStorage,
  ): Promise<{ found: Map<string, string>; error?: Error & { code: string } }> {
    let found = new Map<string, string>();
    try {
      const store = await MiniStore.open(storage.restart());
      found = contents(store.engine);
      await store.save("after", "works");
      storage.kill();
      const again = await MiniStore.open(storage.restart());
      expect(contents(again.engine).get("after")).toBe("works");
      await again.close();
      return { found };
    } catch (error) {
      return { found, error: error as Error & { code: string } };
    }
  }
}

test("T-FUZZ-01: a forged number with right checksums is refused, and a repair saves the rest and tells", async () => {
  const { storage, commits } = await written();
  const files = below(storage);
  const forger = new Forger(files);
  const [first] = forger.fields;
  // The checksums that are made right are those that are there.
  for (const [name, bytes] of forger.forged(first, forger.valueOf(first)))
    expect(bytes).toEqual(files.get(name));
  const trial = new Trial(storage, files, forger, commits);
  const wrong: string[] = [];
  for (const one of casesOf(forger)) {
    const label = `${one.field.name} at ${one.field.at} forged to ${one.value}`;
    wrong.push(...(await trial.run(one)).map((what) => `${label}: ${what}`));
  }
  expect(wrong).toEqual([]);
}, 300_000);

const TIMES = "the times of 1 entries, which no store reaches";

test.each([
  ["record version", NUMBERS_MAX + 1, "the version of a commit: it says"],
  ["record version", 0, "the version of a commit: it says 0"],
  ["commit's entry hlc", NUMBERS_MAX + 1, TIMES],
  ["checkpoint version", NUMBERS_MAX + 1, "its version: it says"],
  ["checkpoint's entry hlc", NUMBERS_MAX + 1, TIMES],
  ["block entryCount", 2, "the number of its entries: it says 2"],
])("T-FUZZ-01: a %s that is forged to %i is named by the report", async (name, value, what) => {
  const { storage } = await written();
  const files = below(storage);
  const forger = new Forger(files);
  const fields = forger.fields.filter((field) => field.name === name);
  const field = fields[fields.length >> 1];
  await replaceFiles(storage, files, forger.forged(field, value));
  const report = await repair(ROOT, { runtime: storage.restart(), dryRun: true });
  const told = report.files.flatMap(({ file, lost }) => lost.map((part) => `${file}: ${part.what}`));
  expect(told).toContainEqual(expect.stringContaining(`${field.file}: ${what}`));
});

test("T-FUZZ-01: what is wrong in commits that stand in for lost blocks is in the report, too", async () => {
  const { storage, commits } = await written();
  const files = below(storage);
  const forger = new Forger(files);
  const field = forger.fields.find(({ name }) => name === "commit's entry hlc") as Field;
  await replaceFiles(storage, files, forger.forged(field, NUMBERS_MAX + 1));
  await edit(storage, `${ROOT}/MANIFEST`, (bytes) => bytes.fill(0));
  const inBlock = forger.fields.find(({ name }) => name === "checkpoint's entry version") as Field;
  await edit(storage, `${ROOT}/${inBlock.file}`, (bytes) => {
    bytes[inBlock.at] ^= 1;
    return bytes;
  });
  const report = await repair(ROOT, { runtime: storage.restart(), dryRun: true });
  const told = report.files.flatMap(({ lost }) => lost.map(({ what }) => what));
  expect(told).toContain(`${TIMES}: they count as the newest one before them`);
  // Commits that the checkpoint held, and those behind it, wherever one segment ends and the next begins.
  const segments = report.files.filter(({ file }) => file.startsWith("log/"));
  expect(segments.map(({ file }) => file)).toContain(field.file);
  expect(segments.reduce((sum, { saved }) => sum + saved, 0)).toBe(commits.length);
});
