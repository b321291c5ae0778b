import { expect, test } from "vitest";
import { codeOf } from "../../src/base/errors.js";
import { type OpenOptions, open, restore, type Store, verify } from "../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";

const OPENED = ["open", "create", "list", "syncDirectory"] as const;
const POLICY = { durability: "full", checkpoint: { everyCommits: 4 }, segmentBytes: 65_536 } as const;

function openOn(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  return open<string>("/data", { runtime: storage.runtime, codec: "text", ...POLICY, ...options });
}

/** What a life was told, and by which errors steps of it were refused. */
class Life {
  readonly acknowledged = new Map<string, string>();
  /** Of writes that were refused: they may be there all the same once the log has failed. */
  readonly unknown = new Set<string>();
  readonly refusals: string[] = [];

  /** A store with several segments and checkpoints, a backup, and a restored copy; at the end it is written to. */
  async run(storage: SimulatedStorage): Promise<void> {
    const db = await this.#written(storage, "first");
    await this.#try(async () => db?.checkpoint());
    await this.#try(async () => db?.backup("/backup"));
    await this.#try(async () => db?.close());
    await this.#try(() => verify("/data", { runtime: storage.runtime }));
    await this.#try(() => restore("/backup", "/copy", { runtime: storage.runtime }));
    await this.#written(storage, "second");
  }

  async #written(storage: SimulatedStorage, session: string): Promise<Store<string> | undefined> {
    const db = await this.#try(() => openOn(storage));
    for (let i = 0; db !== undefined && i < 9; i++)
      await this.#write(db, `${session} ${i}`, "x".repeat(9000 + i));
    return db;
  }

  async #write(db: Store<string>, key: string, value: string): Promise<void> {
    this.unknown.add(key);
    if ((await this.#try(() => db.set(key, value))) === undefined) return;
    this.unknown.delete(key);
    this.acknowledged.set(key, value);
  }

  async #try<T>(step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      this.refusals.push(codeOf(error) ?? String(error));
      return undefined;
    }
  }
}

/** Makes the `nth` opening, and `times` in all, fail in a life; whether there was such a one. */
async function liveThrough(nth: number, times: number): Promise<boolean> {
  const storage = simulatedStorage({ seed: nth, cryptography: nodeCryptography, sectorBytes: 512 });
  let openings = 0;
  storage.disk.onOperation = ({ kind }, phase) => {
    if (phase === "before" && (OPENED as readonly string[]).includes(kind)) openings++;
  };
  // A directory that could not be opened was not synced, and is as it was.
  storage.disk.faults.add({ operations: OPENED, code: "EMFILE", nth, times, afterSync: "dirty" });
  const life = new Life();
  await life.run(storage);
  storage.disk.onOperation = undefined;
  storage.disk.faults.clear();
  const codes = life.refusals.filter(
    (code) => !/^(IO_ERROR|DURABILITY_UNKNOWN|STORE_FAILED|NOT_A_STORE|PATH_UNUSABLE)$/.test(code),
  );
  expect(codes, `refusals of opening ${nth}`).toEqual([]);
  storage.powerCut();
  storage.restart();
  const db = await openOn(storage);
  for (const [key, value] of life.acknowledged) expect(db.get(key), `${key}, opening ${nth}`).toBe(value);
  const more = [...db.keys()].filter((key) => !life.acknowledged.has(String(key)));
  expect(more.filter((key) => !life.unknown.has(String(key)))).toEqual([]);
  await db.close();
  expect((await verify("/data", { runtime: storage.runtime })).ok).toBe(true);
  expect([...storage.disk.image().keys()].filter((path) => /data.*\.tmp/.test(path))).toEqual([]);
  return openings >= nth;
}

test.each([2])(
  "a process that may open no more files, %i times from any opening on, loses nothing",
  async (times) => {
    let nth = 1;
    while (await liveThrough(nth, times)) nth++;
    expect(nth).toBeGreaterThan(40);
  },
);
