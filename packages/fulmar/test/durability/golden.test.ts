import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { NUMBERS_SKIPPED } from "../../src/base/limits.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { withKeyring } from "../../src/durability/keyring.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import { createKeyring } from "../../src/store/encryption.js";
import {
  COMPRESSED_CONTENTS,
  ENCRYPTED_CONTENTS,
  ENCRYPTED_KEY,
  GOLDEN_CONTENTS,
  KILLED_CONTENTS,
  writeGolden,
  writeGoldenCompressed,
  writeGoldenEncrypted,
  writeGoldenKilled,
} from "./golden.js";
import { MiniStore } from "./harness.js";

const FIXTURE = fileURLToPath(new URL("./fixtures/golden", import.meta.url));
const COMPRESSED = fileURLToPath(new URL("./fixtures/golden-compressed", import.meta.url));
const ENCRYPTED = fileURLToPath(new URL("./fixtures/golden-encrypted", import.meta.url));
const KILLED = fileURLToPath(new URL("./fixtures/golden-killed", import.meta.url));
const DOCUMENTS = fileURLToPath(new URL("../../../../docs/format", import.meta.url));
/** Set to write the fixture anew after an intended change of a format, which needs a new format number. */
const REWRITE = process.env.FULMAR_WRITE_GOLDEN === "1";
const CHECKPOINT = "checkpoint/000000000001";

const temporary: string[] = [];

async function copyOfFixture(fixture = FIXTURE): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "fulmar-golden-"));
  temporary.push(parent);
  await cp(fixture, join(parent, "data"), { recursive: true });
  return join(parent, "data");
}

async function rewrite(fixture: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await rm(fixture, { recursive: true, force: true });
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(fixture, path)), { recursive: true });
    await writeFile(join(fixture, path), bytes);
  }
}

afterEach(async () => {
  await Promise.all(temporary.splice(0).map((path) => rm(path, { recursive: true, force: true })));
});

describe("the golden directory", () => {
  test("today's code writes exactly its bytes", async () => {
    const files = await writeGolden();
    if (REWRITE) await rewrite(FIXTURE, files);
    const entries = await readdir(FIXTURE, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(names.map((name) => name.slice(FIXTURE.length + 1)).sort()).toEqual([...files.keys()].sort());
    for (const [path, bytes] of files) {
      expect(Buffer.from(bytes).equals(await readFile(join(FIXTURE, path))), path).toBe(true);
    }
  });

  test("opens on the machine's own file system, as a copy, with everything in it", async () => {
    const directory = await copyOfFixture();
    const report = await verifyDirectory(nodeRuntime(), directory);
    expect(report).toMatchObject({
      ok: true,
      clean: true,
      version: 7,
      checkpoint: { version: 5, entries: 3 },
    });
    const store = await MiniStore.open(nodeRuntime(), {}, directory);
    expect(store.contents()).toEqual(GOLDEN_CONTENTS);
    const { coverage, clean, storeId, incarnation, version } = store.directory.recovered;
    expect({ clean, version, same: storeId === report.storeId }).toEqual({
      clean: true,
      version: 7 + NUMBERS_SKIPPED,
      same: true,
    });
    expect(incarnation).not.toBe(report.incarnation);
    expect(coverage.of("f0".repeat(16))).toEqual({ upTo: 9, holes: [{ from: 3, to: 4 }] });
    expect(coverage.of(report.incarnation).upTo).toBe(6);
    await store.save("new", "on a real disk");
    await store.close();
    const again = await MiniStore.open(nodeRuntime(), {}, directory);
    expect(again.contents().get("new")).toBe("on a real disk");
    await again.close();
  });
});

describe("the golden directory with a compressed checkpoint", () => {
  test("opens with everything in it", async () => {
    if (REWRITE) await rewrite(COMPRESSED, await writeGoldenCompressed());
    const directory = await copyOfFixture(COMPRESSED);
    const report = await verifyDirectory(nodeRuntime(), directory);
    expect(report).toMatchObject({
      ok: true,
      clean: true,
      checkpoint: { version: 3, entries: 3 },
      commits: 0,
    });
    const store = await MiniStore.open(nodeRuntime(), {}, directory);
    expect(store.contents()).toEqual(COMPRESSED_CONTENTS);
    await store.close();
  });

  test("is as long as what today's code writes, which another zlib may deflate otherwise", async () => {
    const files = await writeGoldenCompressed();
    const read = (path: string): Promise<Buffer> => readFile(join(COMPRESSED, path));
    const [golden, today] = [await read(CHECKPOINT), files.get(CHECKPOINT) ?? new Uint8Array()];
    expect(today.length).toBeLessThan(400);
    // Head and dictionary, the block's head but for its length, and what is said of the payload itself.
    const fixed = [
      [0, 0x80],
      [0x84, 0x8c],
      [0x90, 0x98],
    ];
    for (const [from, to] of fixed) {
      expect([...today.subarray(from, to)], `from ${from}`).toEqual([...golden.subarray(from, to)]);
    }
  });
});

describe("the golden directory that is encrypted", () => {
  test("opens with its key and everything in it", async () => {
    if (REWRITE) await rewrite(ENCRYPTED, await writeGoldenEncrypted());
    const directory = await copyOfFixture(ENCRYPTED);
    const given = nodeRuntime();
    const runtime = (): ReturnType<typeof withKeyring> =>
      withKeyring(given, createKeyring(given, { key: ENCRYPTED_KEY, refusePlain: true }));
    const report = await verifyDirectory(runtime(), directory);
    expect(report).toMatchObject({
      ok: true,
      clean: true,
      checkpoint: { version: 1, entries: 1 },
      commits: 1,
    });
    const store = await MiniStore.open(runtime(), {}, directory);
    expect(store.contents()).toEqual(ENCRYPTED_CONTENTS);
    await store.close();
    await expect(MiniStore.open(given, {}, directory)).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
    });
  });

  test("is what today's code writes", async () => {
    for (const [path, bytes] of await writeGoldenEncrypted()) {
      expect(Buffer.from(bytes).equals(await readFile(join(ENCRYPTED, path))), path).toBe(true);
    }
  });
});

describe("the golden directory of a store that had a peer and was killed", () => {
  const LOG = "log/000000000001.log";

  test("opens with everything but its torn end, and remembers what it deleted", async () => {
    if (REWRITE) await rewrite(KILLED, await writeGoldenKilled());
    const directory = await copyOfFixture(KILLED);
    const report = await verifyDirectory(nodeRuntime(), directory);
    expect(report).toMatchObject({
      ok: true,
      clean: false,
      version: 5,
      checkpoint: { version: 4, entries: 3 },
    });
    expect(report.findings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining("torn tail"),
    );
    const store = await MiniStore.open(nodeRuntime(), {}, directory);
    expect(store.contents()).toEqual(KILLED_CONTENTS);
    const { clean, hadPeers, cutBytes, version, coverage } = store.directory.recovered;
    expect({ clean, hadPeers, version }).toEqual({
      clean: false,
      hadPeers: true,
      version: 5 + NUMBERS_SKIPPED,
    });
    expect(cutBytes).toBeGreaterThan(0);
    expect(store.engine.usage()).toMatchObject({ tombstones: 1 });
    expect(coverage.of("f0".repeat(16))).toEqual({ upTo: 9, holes: [] });
    await store.close();
  });

  test.each([
    ["before its torn end, which tells that this had been synced", LOG, "v2"],
    ["in what it deleted", CHECKPOINT, "gone"],
  ])("is refused when it is damaged %s", async (_, path, text) => {
    const directory = await copyOfFixture(KILLED);
    const bytes = await readFile(join(directory, path));
    bytes[bytes.indexOf(text)] ^= 1;
    await writeFile(join(directory, path), bytes);
    await expect(MiniStore.open(nodeRuntime(), {}, directory)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: join(directory, path) },
    });
    expect(await verifyDirectory(nodeRuntime(), directory)).toMatchObject({ ok: false });
  });

  test("is what today's code writes", async () => {
    for (const [path, bytes] of await writeGoldenKilled()) {
      expect(Buffer.from(bytes).equals(await readFile(join(KILLED, path))), path).toBe(true);
    }
  });
});

describe("the documents", () => {
  test.each([
    ["log.md", "log/000000000001.log", 24],
    ["checkpoint.md", CHECKPOINT, 24],
    ["manifest.md", "MANIFEST", 16],
    ["compression.md", CHECKPOINT, 24, COMPRESSED],
    ["encryption.md", "log/000000000001.log", 24, ENCRYPTED],
  ])("%s shows bytes of a golden directory", async (document, path, least, fixture = FIXTURE) => {
    const bytes = await readFile(join(fixture, path));
    const text = await readFile(join(DOCUMENTS, document), "utf8");
    const lines = [...text.matchAll(/^([0-9a-f]{4}) {2}((?:[0-9a-f]{2} )*[0-9a-f]{2}) {2}/gm)];
    expect(lines.length).toBeGreaterThan(least);
    let next = 0;
    for (const [, offset, shown] of lines) {
      expect(Number.parseInt(offset, 16), "the example leaves nothing out").toBe(next);
      const expected = shown.split(" ");
      const actual = [...bytes.subarray(next, next + expected.length)];
      expect(actual.map((byte) => byte.toString(16).padStart(2, "0"))).toEqual(expected);
      next += expected.length;
    }
  });
});
