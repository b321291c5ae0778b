import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../../src/testing/index.js";
import { edit, filesOf } from "../../durability/harness.js";
import { BACKUP, fill, machine, ONE, openOn, ROOT, refusal } from "./support.js";

/** Mends the checksums of a record at `at`, so that only the seal can tell. */
function mendRecord(bytes: Uint8Array, at: number, predecessorCrc: number): number {
  const end = at + 40 + readU32(bytes, at);
  writeU32(bytes, at + 32, predecessorCrc);
  writeU32(bytes, at + 36, crc32(bytes, at, at + 36, 0));
  writeU32(bytes, end, crc32(bytes, at + 40, end, readU32(bytes, at + 36)));
  return readU32(bytes, end);
}

describe("what is sealed stays where it was put, though every checksum is mended", () => {
  const LOG = `${ROOT}/log/000000000001.log`;

  async function threeRecords(): Promise<{ storage: SimulatedStorage; at: number[] }> {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    for (const value of ["aaaa", "bbbb", "cccc"]) await db.set("k", value);
    storage.kill();
    const [[, bytes]] = filesOf(storage, LOG);
    const at: number[] = [];
    for (let next = 172; readU32(bytes, next) > 0; next += 44 + readU32(bytes, next)) at.push(next);
    expect(at.length).toBe(4);
    return { storage, at };
  }

  test("a record that was changed, moved or left out", async () => {
    const changes: ((bytes: Uint8Array, at: readonly number[]) => void)[] = [
      (bytes, [, one]) => {
        bytes[one + 60] ^= 1;
      },
      // Its version.
      (bytes, [, , , three]) => {
        bytes[three + 17] = 1;
      },
      // The second in the place of the first, and so on: the first is gone.
      (bytes, [, one, two]) => {
        bytes.copyWithin(one, two);
        bytes.fill(0, one + bytes.length - two);
      },
      // The opening: where the log continues from.
      (bytes, [opening]) => {
        bytes[opening + 40] = 7;
      },
      // The header: whose commits these are, with its own checksum mended.
      (bytes) => {
        bytes[50] ^= 1;
        writeU32(bytes, 64, crc32(bytes, 0, 64, 0));
      },
    ];
    for (const [index, change] of changes.entries()) {
      const { storage, at } = await threeRecords();
      await edit(storage, LOG, (bytes) => {
        change(bytes, at);
        let link = readU32(bytes, at[0] + 32);
        for (let next = at[0]; readU32(bytes, next) > 0; next += 44 + readU32(bytes, next)) {
          link = mendRecord(bytes, next, link);
        }
        return bytes;
      });
      const error = await refusal(storage, { key: ONE });
      expect(error, `change ${index}`).toMatchObject({ code: "CORRUPT", details: { file: LOG } });
      expect(error.message, `change ${index}`).toContain("is not what was encrypted there");
    }
  });

  test("a block of another checkpoint, or of another place", async () => {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 30);
    await db.checkpoint();
    await db.backup(BACKUP);
    await db.close();
    const [[, other]] = filesOf(storage, BACKUP);
    const [[path, own]] = filesOf(storage, "checkpoint/");
    expect([own.length, other.length]).toEqual([own.length, own.length]);
    const first = 108 + 104 + readU32(own, 96) + 4;
    const second = first + 20 + readU32(own, first);
    const swaps: ((bytes: Uint8Array) => void)[] = [
      (bytes) => bytes.set(other.subarray(first + 16, second - 4), first + 16),
      (bytes) => bytes.copyWithin(first + 16, second + 16, second + 16 + readU32(own, first)),
      // The dictionary of the other one.
      (bytes) => bytes.set(other.subarray(212, first), 212),
    ];
    for (const swap of swaps) {
      const copy = simulatedStorage({ disk: storage.disk.fork(), cryptography: nodeCryptography });
      await edit(copy, path, (bytes) => {
        swap(bytes);
        mendCheckpoint(bytes, first);
        return bytes;
      });
      const error = await refusal(copy, { key: ONE });
      expect(error).toMatchObject({ code: "CORRUPT", details: { file: path } });
    }
  });
});

/** Mends the checksums of dictionary and blocks; the sum in the footer is that of the blocks, compared last. */
function mendCheckpoint(bytes: Uint8Array, first: number): void {
  const seed = readU32(bytes, 104);
  writeU32(bytes, first - 4, crc32(bytes, 212, first - 4, seed));
  for (let at = first; at < bytes.length - 68; at += 20 + readU32(bytes, at)) {
    const end = at + 16 + readU32(bytes, at);
    writeU32(bytes, end, crc32(bytes, at + 16, end, readU32(bytes, at + 12)));
  }
}
