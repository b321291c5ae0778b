import { codeOf, FulmarError } from "../../src/base/errors.js";
import { dump, load, type OpenOptions, open, restore, type Store, verify } from "../../src/index.js";
import type { SimulatedDisk } from "../../src/testing/index.js";
import { edit, filesOf, machineOn } from "../durability/harness.js";
import type { FuzzTarget } from "./fuzzer.js";
import { encryptionOf, type Sealed, sealedMachine } from "./lenient.js";
import { repairCheckpoint } from "./repair.js";

const BACKUP = "/one.backup";
const BYTES_MAX = 64 * 1024;
/** For three stores, whose first tables stand beside what is read. */
const ALLOCATED_BYTES_MAX = 48 << 20;

function optionsOf(sealed: Sealed): Pick<OpenOptions, "encryption"> {
  const encryption = encryptionOf(sealed);
  return encryption === undefined ? {} : { encryption };
}

/** A disk with a backup of a small store. */
async function backedUp(sealed: Sealed, compression: "none" | "deflate"): Promise<SimulatedDisk> {
  const machine = sealedMachine(sealed);
  const options = { codec: "text", segmentBytes: 65_536, compression, ...optionsOf(sealed) } as const;
  const db = await open<string>("/data", { ...options, runtime: machine.runtime() });
  for (let i = 0; i < 4; i++) await db.set(`key ${i}`, `value ${i}`.repeat(i * 9));
  await db.set(["tuple", 1n], "x", { ttl: 1e9 });
  await db.delete("key 2");
  await db.backup(BACKUP);
  await db.close();
  return machine.disk;
}

/** What a check finds sound is restored, and shows the same when it is opened again; what is not is refused by name. */
async function restoreTwice(disk: SimulatedDisk, sealed: Sealed): Promise<void> {
  const machine = sealedMachine(sealed, disk);
  const options = optionsOf(sealed);
  const runtime = machine.runtime();
  const report = await named(verify(BACKUP, { ...options, runtime }));
  const made = await named(restore(BACKUP, "/restored", { ...options, runtime }));
  if ((report?.ok === true) !== (made !== undefined)) {
    throw new Error(`checked: ${JSON.stringify(report)}; restored: ${JSON.stringify(made)}`);
  }
  if (made === undefined) return;
  const settings = { codec: "text", segmentBytes: 65_536, ...options } as const;
  const db = await open<string>("/restored", { ...settings, runtime: machine.runtime() });
  // What had expired when it was restored goes here, and not in between, where closing would remove it.
  await db.flush();
  const digest = db.digest();
  await db.set("fuzz", "x");
  await db.delete("fuzz");
  await db.close();
  const again = await open<string>("/restored", { ...settings, runtime: machine.runtime() });
  const found = again.digest();
  await again.close();
  if (found !== digest) throw new Error(`the digest was ${digest}, and is ${found}`);
}

const REFUSALS = /^(CORRUPT|FORMAT_NEWER|FORMAT_OLDER|NOT_A_STORE|ENCRYPTION_KEY_(WRONG|MISSING))$/;

async function named<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (error instanceof FulmarError && REFUSALS.test(codeOf(error) ?? "")) return undefined;
    throw error;
  });
}

/** The reader of backups. */
export async function backupTarget(sealed: Sealed): Promise<FuzzTarget> {
  const disks = [await backedUp(sealed, "none"), await backedUp(sealed, "deflate")];
  const seeds = disks.map((disk) => filesOf(machineOn(disk.fork()), BACKUP)[0]?.[1] ?? new Uint8Array());
  return {
    name: sealed === "plain" ? "backup" : `backup, sealed (${sealed})`,
    seeds,
    bytesMax: BYTES_MAX,
    allocatedBytesMax: ALLOCATED_BYTES_MAX,
    cost: 4,
    repair: repairCheckpoint,
    async run(bytes) {
      const storage = machineOn(disks[0].fork());
      await edit(storage, BACKUP, () => bytes);
      storage.kill();
      await restoreTwice(storage.disk, sealed);
    },
  };
}

async function dumpOf(db: Store<unknown>): Promise<string> {
  let text = "";
  for await (const lines of dump(db)) text += lines;
  return text;
}

/** The reader of dumps: what it takes comes out of the next dump, and in again, the same. */
export async function dumpTarget(): Promise<FuzzTarget> {
  const db = await open<unknown>();
  for (const key of ["a", 1, true, ["t", 2n, new Uint8Array([1, 255])], new Uint8Array(3), -0, 10n ** 20n]) {
    await db.set(key, { of: String(key) });
  }
  await db.set("soon", [1.5, null, "\u0000é"], { ttl: 1e12 });
  await db.namespace("n").set("a", 1);
  const text = await dumpOf(db);
  await db.close();
  return {
    name: "dump",
    seeds: [new TextEncoder().encode(text)],
    bytesMax: BYTES_MAX,
    allocatedBytesMax: ALLOCATED_BYTES_MAX,
    cost: 4,
    async run(bytes) {
      await using first = await open<unknown>();
      try {
        await load(first, [bytes]);
      } catch (error) {
        if (!(error instanceof FulmarError && /^(DUMP_INVALID|FORMAT_NEWER)$/.test(error.code))) throw error;
      }
      const shown = await dumpOf(first);
      await using second = await open<unknown>();
      await load(second, [shown]);
      const again = await dumpOf(second);
      if (withoutHead(again) !== withoutHead(shown)) throw new Error(`${shown}\nthen: ${again}`);
    },
  };
}

/** The head names the version, which another number of commits makes another. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf("\n"));
}
