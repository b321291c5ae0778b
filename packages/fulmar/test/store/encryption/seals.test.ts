import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { crc32 } from "../../../src/base/crc.js";
import { FOOTER_BYTES } from "../../../src/durability/checkpoint-format.js";
import { SEAL_BYTES } from "../../../src/durability/file-seal.js";
import { decodeSlot, encodeSlot, SLOT_BYTES } from "../../../src/durability/manifest.js";
import { repair } from "../../../src/index.js";
import { nodeCryptography, type SimulatedStorage, simulatedStorage } from "../../../src/testing/index.js";
import { edit, filesOf } from "../../durability/harness.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
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

describe("a checkpoint all of whose checksums are mended, those in the manifest too", () => {
  const changes: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
    ["is not changed", (bytes) => bytes],
    [
      "has another time in its header",
      (bytes) => {
        bytes[80] ^= 1;
        return bytes;
      },
    ],
    [
      "has lost its last block",
      (bytes) => {
        const end = bytes.length - FOOTER_BYTES - SEAL_BYTES;
        let last = 0;
        for (let at = 216 + readU32(bytes, 96); at < end; at += 20 + readU32(bytes, at)) last = at;
        return new Uint8Array([...bytes.subarray(0, last), ...bytes.subarray(end)]);
      },
    ],
    [
      "says that a block holds an entry less",
      (bytes) => {
        bytes[220 + readU32(bytes, 96)] -= 1;
        return bytes;
      },
    ],
    [
      "has another seal before its footer",
      (bytes) => {
        bytes[bytes.length - FOOTER_BYTES - 1] ^= 1;
        return bytes;
      },
    ],
  ];

  test.each(changes)("%s", async (name, change) => {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 30);
    await db.checkpoint();
    await db.close();
    const [[path, own]] = filesOf(storage, "checkpoint/");
    const forged = change(Uint8Array.from(own));
    repairCheckpoint(forged, ONE);
    await edit(storage, path, () => forged);
    await edit(storage, `${ROOT}/MANIFEST`, (bytes) => naming(bytes, forged));
    if (name === "is not changed") {
      const again = await openOn({ runtime: storage.restart() }, { key: ONE });
      expect(again.status().entries).toBe(30);
      return again.close();
    }
    expect(await refusal(storage, { key: ONE })).toMatchObject({ code: "CORRUPT", details: { file: path } });
    // A repair takes what unseals, and says what is missing.
    const runtime = storage.restart();
    const report = await repair(ROOT, { runtime, encryption: { key: ONE } });
    const file = report.files.find(({ kind }) => kind === "checkpoint");
    expect(file?.lost.length).toBeGreaterThan(0);
  });
});

/** A manifest that names a checkpoint of these bytes, in both of its slots. */
function naming(manifest: Uint8Array, checkpoint: Uint8Array): Uint8Array {
  const slots = [0, SLOT_BYTES].map((at) => {
    const slot = decodeSlot({ crc32 }, manifest.subarray(at, at + SLOT_BYTES));
    if (slot === undefined || typeof slot === "number") return new Uint8Array(SLOT_BYTES);
    const from = checkpoint.length - FOOTER_BYTES;
    const crc = crc32(checkpoint, from, checkpoint.length, 0);
    const named = { ...slot.manifest.checkpoint, bytes: checkpoint.length, crc };
    return encodeSlot({ crc32 }, { ...slot.manifest, checkpoint: named }, slot.generation);
  });
  return new Uint8Array(slots.flatMap((bytes) => [...bytes]));
}

/** Mends the checksums of dictionary and blocks; the sum in the footer is that of the blocks, compared last. */
function mendCheckpoint(bytes: Uint8Array, first: number): void {
  const seed = readU32(bytes, 104);
  writeU32(bytes, first - 4, crc32(bytes, 212, first - 4, seed));
  for (let at = first; at < bytes.length - 68; at += 20 + readU32(bytes, at)) {
    const end = at + 16 + readU32(bytes, at);
    writeU32(bytes, end, crc32(bytes, at + 16, end, readU32(bytes, at + 12)));
  }
}
