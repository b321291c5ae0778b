import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { nodeChecksum } from "../../src/base/runtime/node/checksum.js";
import { type Encryption, open, repair, verify } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import {
  COMPRESSED_CONTENTS,
  ENCRYPTED_CONTENTS,
  ENCRYPTED_KEY,
  GOLDEN_CONTENTS,
  LONG_CONTENTS,
  writeGolden,
  writeGoldenEncrypted,
  writeGoldenLong,
} from "./golden.js";
import { type Damage, damages, type Files } from "./golden-damage.js";

const FIXTURES = fileURLToPath(new URL("./fixtures/damaged", import.meta.url));
/** Set to write the fixtures anew, after an intended change of a format. */
const REWRITE = process.env.FULMAR_WRITE_GOLDEN === "1";
const crc = (bytes: Uint8Array): number => nodeChecksum.crc32(bytes, 0, bytes.length, 0);
const DAMAGES = damages(crc);
const CONTENTS = {
  golden: GOLDEN_CONTENTS,
  "golden-long": LONG_CONTENTS,
  "golden-compressed": COMPRESSED_CONTENTS,
  "golden-encrypted": ENCRYPTED_CONTENTS,
};
const WRITERS = {
  golden: writeGolden,
  "golden-long": writeGoldenLong,
  // Another zlib may write other bytes.
  "golden-compressed": () => filesIn(join(FIXTURES, "../golden-compressed")),
  "golden-encrypted": writeGoldenEncrypted,
};
/** Entries of the checkpoint. */
const WHOLE = { golden: 3, "golden-long": 6, "golden-compressed": 3, "golden-encrypted": 1 };

function keyOf({ base }: Damage): { readonly encryption?: Encryption } {
  return base === "golden-encrypted" ? { encryption: { key: ENCRYPTED_KEY, refusePlain: true } } : {};
}

const temporary: string[] = [];

afterEach(async () => {
  await Promise.all(temporary.splice(0).map((path) => rm(path, { recursive: true, force: true })));
});

async function copyOf(name: string): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "fulmar-repair-"));
  temporary.push(parent);
  await cp(join(FIXTURES, name), join(parent, "data"), { recursive: true });
  return join(parent, "data");
}

async function filesIn(directory: string): Promise<Files> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = paths
    .sort()
    .map(async (path) => [path.slice(directory.length + 1), await readFile(path)] as const);
  return new Map(await Promise.all(read));
}

function withoutLock(files: Files): Files {
  return new Map([...files].filter(([path]) => !path.startsWith("LOCK")));
}

async function contentsOf(
  directory: string,
  key: { readonly encryption?: Encryption },
): Promise<Map<string, string>> {
  await using db = await open<string>(directory, { ...key, codec: "text" });
  return new Map([...db.list()].map(({ key, value }) => [key as string, value]));
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: { code: string }) => error.code,
  );
}

/** What a repair must bring back, and nothing else may differ. */
function expected(damage: Damage): Map<string, string> {
  const left = new Map(CONTENTS[damage.base]);
  for (const key of damage.lost) left.delete(key);
  for (const [key, value] of Object.entries(damage.older ?? {})) left.set(key, value);
  return left;
}

describe.each(DAMAGES)("a golden directory with damage $name", (damage) => {
  const key = keyOf(damage);

  test("is what the intact one becomes", async () => {
    const files = await WRITERS[damage.base]();
    damage.apply(files);
    const directory = join(FIXTURES, damage.name);
    if (REWRITE) {
      await rm(directory, { recursive: true, force: true });
      for (const [path, bytes] of files) {
        await mkdir(dirname(join(directory, path)), { recursive: true });
        await writeFile(join(directory, path), bytes);
      }
    }
    const found = await filesIn(directory);
    expect([...found.keys()].sort()).toEqual([...files.keys()].sort());
    for (const [path, bytes] of files) {
      expect(Buffer.from(bytes).equals(found.get(path) as Buffer), path).toBe(true);
    }
  });

  test("is refused unchanged, or opens with everything", async () => {
    const directory = await copyOf(damage.name);
    const before = await filesIn(directory);
    const report = await verify(directory, key).catch((error: { code: string }) => error.code);
    const code = await codeOf(open(directory, key).then((db) => db.close()));
    expect(code).toBe(damage.code);
    if (code === undefined) {
      expect(report).toMatchObject({ ok: true });
      expect(await contentsOf(directory, key)).toEqual(expected(damage));
      return;
    }
    expect(report).toEqual(
      damage.code === "NOT_A_STORE" ? "NOT_A_STORE" : expect.objectContaining({ ok: false }),
    );
    expect(withoutLock(await filesIn(directory))).toEqual(before);
  });

  test("is repaired as far as its checksums are right, and everything that was there is kept", async () => {
    const directory = await copyOf(damage.name);
    const before = await filesIn(directory);
    const dry = repair(directory, { ...key, dryRun: true });
    if (damage.code === "FORMAT_NEWER") {
      await expect(dry).rejects.toMatchObject({ code: "FORMAT_NEWER" });
      await expect(repair(directory, key)).rejects.toMatchObject({ code: "FORMAT_NEWER" });
      expect(withoutLock(await filesIn(directory))).toEqual(before);
      return;
    }
    const told = await dry;
    expect(withoutLock(await filesIn(directory))).toEqual(before);
    const report = await repair(directory, key);
    if (damage.code === undefined) {
      expect(report).toMatchObject({ repaired: false, damaged: false });
      expect(withoutLock(await filesIn(directory))).toEqual(before);
      return;
    }
    const { files, entries, version } = report;
    expect(told).toMatchObject({ repaired: false, damaged: true, files, entries, version });
    expect(report).toMatchObject({ repaired: true, keptIn: join(directory, "damaged-1") });
    expect(files.some((file) => file.lost.length > 0)).toBe(true);
    const checkpoint = files.find(({ kind }) => kind === "checkpoint");
    if (before.has("checkpoint/000000000001")) {
      expect(checkpoint?.saved).toBe(damage.checkpointSaved ?? WHOLE[damage.base]);
    }
    for (const [path, bytes] of before) {
      const kept = await readFile(join(directory, "damaged-1", path));
      expect(kept.equals(bytes), path).toBe(true);
    }
    expect(await verify(directory, key)).toMatchObject({ ok: true, findings: [] });
    expect(await contentsOf(directory, key)).toEqual(expected(damage));
    expect(await repair(directory, key)).toMatchObject({ repaired: false, damaged: false });
    await using db = await open<string>(directory, { ...key, codec: "text" });
    expect(db.status().incarnation).toBe(report.incarnation);
    expect(db.version).toBeGreaterThanOrEqual(version);
    // Nothing of anybody else's history is claimed.
    const claimed = entries === 0 ? [] : [report.incarnation];
    expect([...portOf(db).coverage().origins()].map(([origin]) => origin)).toEqual(claimed);
  });
});
