import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import {
  BLOCK_HEAD_BYTES,
  BLOCK_TAIL_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
} from "../../src/durability/checkpoint-format.js";
import { type OpenOptions, open, restore, type Store, verify } from "../../src/index.js";
import { repairCheckpoint } from "../fuzz/repair.js";
import { temporaryDirectory } from "./fixture.js";

const COMPRESSED = 4;
const flagsOf = (path: string): number => readU32(readFileSync(path), 12);

/** The one checkpoint of a directory. */
function checkpointOf(directory: string): string {
  const names = readdirSync(join(directory, "checkpoint"));
  expect(names).toHaveLength(1);
  return join(directory, "checkpoint", names[0]);
}

async function filled(directory: string, options: OpenOptions): Promise<Store<unknown>> {
  const db = await open<unknown>(directory, options);
  await db.batch(
    Array.from({ length: 2000 }, (_, i) => ({
      type: "set" as const,
      key: ["user", i],
      value: { id: i, name: "Ada" },
    })),
  );
  return db;
}

const contentsOf = (db: Store<unknown>): unknown[] => [...db.list()].map(({ key, value }) => [key, value]);

describe("the option `compression`", () => {
  test("makes checkpoints and backups smaller; a restored store is as its backup was", async () => {
    const root = await temporaryDirectory();
    const sizes: number[] = [];
    for (const [compression, flag] of [
      ["none", 0],
      ["deflate", COMPRESSED],
    ] as const) {
      const directory = join(root, compression);
      const db = await filled(directory, { compression });
      const { bytes } = await db.checkpoint();
      const backup = await db.backup(join(root, `${compression}.backup`));
      sizes.push(bytes, backup.bytes);
      const contents = contentsOf(db);
      await db.close();
      expect(flagsOf(checkpointOf(directory)) & COMPRESSED).toBe(flag);
      expect(flagsOf(backup.path) & COMPRESSED).toBe(flag);
      expect(await verify(backup.path)).toMatchObject({ ok: true, entries: 2000 });
      expect(await verify(directory)).toMatchObject({ ok: true, checkpoint: { bytes, entries: 2000 } });
      const restored = join(root, `${compression}-restored`);
      await restore(backup.path, restored);
      expect(flagsOf(checkpointOf(restored)) & COMPRESSED).toBe(flag);
      await using again = await open<unknown>(restored);
      expect(contentsOf(again)).toEqual(contents);
    }
    expect(sizes[2]).toBeLessThan(sizes[0] / 3);
    expect(sizes[3]).toBeLessThan(sizes[1] / 3);
  });

  test("is none unless set, and nothing else than its two words", async () => {
    const directory = await temporaryDirectory();
    await using db = await filled(directory, {});
    await db.checkpoint();
    expect(flagsOf(checkpointOf(directory)) & COMPRESSED).toBe(0);
    for (const compression of ["gzip", true, null]) {
      const options = { compression } as unknown as OpenOptions;
      await expect(open(undefined, options)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
});

describe("a forged backup", () => {
  /** A backup with one packed block, changed, and with every checksum of the file made right again. */
  async function forged(change: (bytes: Uint8Array, blockAt: number) => Uint8Array): Promise<string> {
    const root = await temporaryDirectory();
    await using db = await open<unknown>(undefined, { compression: "deflate" });
    await db.set("k", "v".repeat(10_000));
    const { path } = await db.backup(join(root, "forged"));
    const bytes = Uint8Array.from(readFileSync(path));
    const changed = change(bytes, CHECKPOINT_HEADER_BYTES + readU32(bytes, 96) + 4);
    repairCheckpoint(changed);
    writeFileSync(path, changed);
    return path;
  }

  /** With another packed payload in its block. */
  const replaced = (deflated: Uint8Array, length: number, crc: number) => (bytes: Uint8Array, at: number) => {
    const payload = Buffer.alloc(8 + deflated.length);
    writeU32(payload, 0, length);
    writeU32(payload, 4, crc);
    payload.set(deflated, 8);
    const head = bytes.slice(at, at + BLOCK_HEAD_BYTES);
    writeU32(head, 0, payload.length + 2 ** 31);
    const rest = [head, payload, new Uint8Array(BLOCK_TAIL_BYTES), bytes.subarray(-FOOTER_BYTES)];
    return new Uint8Array(Buffer.concat([bytes.subarray(0, at), ...rest]));
  };

  test("that would become 256 MiB of 256 KB is refused, and takes no memory", async () => {
    const bomb = deflateRawSync(new Uint8Array(256 << 20), { level: 9 });
    for (const claimed of [64 * 1024, 2 ** 32 - 1]) {
      const path = await forged(replaced(bomb, claimed, 0));
      const before = getHeapStatistics().external_memory;
      let most = 0;
      const watching = setInterval(() => {
        most = Math.max(most, getHeapStatistics().external_memory - before);
      }, 1);
      const { ok, findings } = await verify(path);
      clearInterval(watching);
      expect({ ok, message: findings[0].message }).toEqual({
        ok: false,
        message: expect.stringContaining("does not unpack"),
      });
      expect(most).toBeLessThan(8 << 20);
      await expect(restore(path, join(path, "../restored"))).rejects.toMatchObject({ code: "CORRUPT" });
    }
  });

  test("whose payload has another checksum than it is packed with is refused", async () => {
    const text = new TextEncoder().encode("no entries at all, no entries at all, no entries at all");
    const right = crc32(text, 0, text.length, 0);
    const wrong = await verify(await forged(replaced(deflateRawSync(text), text.length, right ^ 1)));
    expect(wrong.findings[0].message).toContain("does not unpack");
    const sound = await verify(await forged(replaced(deflateRawSync(text), text.length, right)));
    expect(sound.findings[0].message).toContain("malformed entry");
  });

  test("with packed blocks and no mark of it in its header is refused", async () => {
    const path = await forged((bytes) => {
      writeU32(bytes, 12, readU32(bytes, 12) & ~COMPRESSED);
      return bytes;
    });
    expect((await verify(path)).findings[0].message).toContain("the head of block 0 is not valid");
  });

  test("with a mark that this version does not know is of a newer version", async () => {
    const path = await forged((bytes) => {
      writeU32(bytes, 12, readU32(bytes, 12) | (2 ** 20));
      return bytes;
    });
    await expect(restore(path, join(path, "../restored"))).rejects.toMatchObject({ code: "FORMAT_NEWER" });
    expect((await verify(path)).findings[0].message).toContain("a newer version of Fulmar wrote");
  });
});
