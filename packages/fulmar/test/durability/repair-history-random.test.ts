import { expect, test } from "vitest";
import { type Encryption, type OpenOptions, open, repair, verify } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { filesOf, replayed, type Written } from "./harness.js";
import { readSegment } from "./log-records.js";

const ROUNDS = Number(process.env.FULMAR_ROUNDS ?? 80);
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);
const KEYS = 70;

interface World {
  readonly name: string;
  readonly storage: SimulatedStorage;
  readonly key: { readonly encryption?: Encryption };
  readonly commits: readonly Written[];
}

/** A store with a checkpoint, what historyBytes lets stay before it, and some commits behind it. */
async function written(name: string, options: OpenOptions<string>, random: Prng): Promise<World> {
  const storage = simulatedStorage({ cryptography: nodeCryptography, seed: 1 + random.below(1e6) });
  const { runtime } = storage;
  const db = await open<string>("/data", { runtime, codec: "text", segmentBytes: 65_536, ...options });
  const commits: Written[] = [];
  const write = async (): Promise<void> => {
    const key = `k${String(random.below(KEYS)).padStart(2, "0")}`;
    const value = random.below(5) === 0 ? undefined : `${commits.length} ${"x".repeat(random.below(6000))}`;
    if (value === undefined && !(await db.delete(key))) return;
    if (value !== undefined) await db.set(key, value);
    commits.push({ version: db.version, key, value });
  };
  for (let left = 250 + random.below(100); left > 0; left--) await write();
  await db.checkpoint();
  for (let left = random.below(15); left > 0; left--) await write();
  await db.close();
  const { encryption } = options;
  return { name, storage, commits, key: encryption === undefined ? {} : { encryption } };
}

/** Flips a bit of the checkpoint, and perhaps one in a segment that is kept: which commit that was in. */
function hurt(storage: SimulatedStorage, random: Prng): { label: string; lost: number | undefined } {
  const [[checkpoint, bytes]] = filesOf(storage, "/checkpoint/");
  const bit = random.below(bytes.length * 8);
  storage.disk.rot(checkpoint, { bits: [bit] });
  const kept = filesOf(storage, ".log").slice(0, -1);
  if (kept.length === 0 || random.below(2) === 0) return { label: `bit ${bit}`, lost: undefined };
  const [path, log] = kept[random.below(kept.length)];
  const { records } = readSegment(log);
  const { version, from, to } = records[random.below(records.length)];
  const inLog = from * 8 + random.below((to - from) * 8);
  storage.disk.rot(path, { bits: [inLog] });
  return { label: `bit ${bit}, and ${inLog} of ${path}`, lost: version };
}

test(`T-FUZZ-01: a repair brings back all that is whole in a segment, and nothing deleted (seed ${SEED})`, async () => {
  const random = new Prng(SEED);
  const encryption = { key: new Uint8Array(32).fill(5), refusePlain: true };
  const worlds = [
    await written("plain", {}, random),
    await written("short history", { historyBytes: 300_000 }, random),
    await written("no history", { historyBytes: 0 }, random),
    await written("sealed", { encryption }, random),
    await written("compressed", { compression: "deflate", historyBytes: 300_000 }, random),
  ];
  let found = 0;
  // Most bits are in a block; until some were the run has shown nothing.
  for (let round = 0; round < ROUNDS || found < 100; round++) {
    const { name, storage: whole, key, commits } = worlds[round % worlds.length];
    const storage = simulatedStorage({
      cryptography: nodeCryptography,
      disk: whole.disk.fork(),
      seed: round + 1,
    });
    // The log from there on is on the disk.
    const { base } = readSegment(filesOf(storage, ".log")[0][1]);
    const { label, lost } = hurt(storage, random);
    const told = `round ${round}, ${name}: ${label}`;
    const report = await repair("/data", { runtime: storage.restart(), ...key });
    expect(report, told).toMatchObject({ repaired: true });
    found += report.files.find(({ kind }) => kind === "checkpoint")?.foundInLog ?? 0;
    const clean = { ok: true, findings: [] };
    expect(await verify("/data", { runtime: storage.restart(), ...key }), told).toMatchObject(clean);
    const db = await open<string>("/data", { runtime: storage.restart(), codec: "text", ...key });
    const contents = new Map([...db.list()].map(({ key: name, value }) => [name as string, value]));
    await db.close();
    expect(differences(commits, contents, base, lost), told).toEqual([]);
  }
}, 900_000);

/** What is not in a store that must be, and what is that must not. */
function differences(
  commits: readonly Written[],
  contents: ReadonlyMap<string, string>,
  base: number,
  lost: number | undefined,
): string[] {
  const wrong: string[] = [];
  const state = replayed(commits);
  const newest = new Map(commits.map(({ key, version }) => [key, version]));
  for (const [key, version] of newest) {
    const [held, saved] = [state.get(key), contents.get(key)];
    if (held === saved) continue;
    // What a lost block alone held.
    if (version <= base && saved === undefined) continue;
    const former = commits.some((commit) => commit.key === key && commit.value === saved);
    if (version === lost && (saved === undefined || former)) continue;
    wrong.push(`${key} of version ${version}: ${String(saved).slice(0, 6)} for ${String(held).slice(0, 6)}`);
  }
  for (const key of contents.keys()) if (!newest.has(key)) wrong.push(`${key} was never there`);
  return wrong;
}
