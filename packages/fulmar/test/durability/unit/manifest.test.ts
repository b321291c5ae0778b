import { describe, expect, test } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import { NUMBERS_MAX } from "../../../src/base/limits.js";
import type { FileHandle } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  decodeSlot,
  encodeSlot,
  MANIFEST_FORMAT,
  type Manifest,
  ManifestFile,
  readManifest,
  readManifestFormat,
  SLOT_BYTES,
} from "../../../src/durability/manifest.js";

const digits = (from: number, bytes: number): string =>
  Array.from({ length: bytes }, (_, i) => (from + i).toString(16).padStart(2, "0")).join("");
const U53_MAX = Number.MAX_SAFE_INTEGER;

/** No two fields alike, so that none can stand in for another. */
const MANIFEST: Manifest = {
  clean: true,
  hadPeers: false,
  storeId: digits(1, 16),
  incarnation: digits(40, 16),
  identity: digits(80, 32),
  firstSegment: U53_MAX - 1,
  checkpoint: { number: U53_MAX - 2, version: U53_MAX - 3, bytes: U53_MAX - 4, crc: 0xdeadbeef },
  synced: { segment: U53_MAX - 5, position: U53_MAX - 6, crc: 0xfeedface, version: U53_MAX - 7 },
  version: U53_MAX - 8,
  seq: U53_MAX - 9,
  hlc: U53_MAX - 10,
};

const encode = (manifest: Manifest, generation: number): Uint8Array =>
  encodeSlot(nodeChecksum, manifest, generation);
const decode = (bytes: Uint8Array): ReturnType<typeof decodeSlot> => decodeSlot(nodeChecksum, bytes);

/** Changes a slot and makes its checksum right again. */
function resealed(bytes: Uint8Array, change: (bytes: Uint8Array) => void): Uint8Array {
  const changed = bytes.slice();
  change(changed);
  writeU32(changed, SLOT_BYTES - 4, nodeChecksum.crc32(changed, 0, SLOT_BYTES - 4, 0));
  return changed;
}

/** A slot whose last byte is 0, as zeros behind a file that is cut off may be. */
function endingInZero(): Uint8Array {
  for (let generation = 1; ; generation++) {
    const bytes = encode(MANIFEST, generation);
    if (bytes[SLOT_BYTES - 1] === 0) return bytes;
  }
}

class MemoryFile {
  bytes: Uint8Array;
  readonly calls: string[] = [];
  failFrom = Number.POSITIVE_INFINITY;
  readonly handle: FileHandle;

  constructor(...slots: Uint8Array[]) {
    this.bytes = new Uint8Array(slots.reduce((sum, slot) => sum + slot.length, 0));
    let at = 0;
    for (const slot of slots) {
      this.bytes.set(slot, at);
      at += slot.length;
    }
    this.handle = {
      path: "MANIFEST",
      read: async (target: Uint8Array, position: number) => {
        const part = this.bytes.subarray(position, position + target.length);
        target.set(part);
        return part.length;
      },
      write: async (bytes: Uint8Array, position: number) => {
        this.#call(`write ${position / SLOT_BYTES}`);
        this.bytes.set(bytes, position);
        return bytes.length;
      },
      syncData: async () => this.#call("sync"),
      close: async () => this.#call("close"),
    } as unknown as FileHandle;
  }

  #call(name: string): void {
    this.calls.push(name);
    if (this.calls.length >= this.failFrom) throw Object.assign(new Error("no"), { code: "EIO" });
  }
}

describe("a slot", () => {
  test("gives back every field", () => {
    for (const clean of [true, false]) {
      for (const hadPeers of [true, false]) {
        const manifest = { ...MANIFEST, clean, hadPeers };
        const bytes = encode(manifest, NUMBERS_MAX);
        expect(bytes.length).toBe(SLOT_BYTES);
        expect(decode(bytes)).toEqual({ manifest, generation: NUMBERS_MAX });
        // None that could be written could follow it.
        expect(decode(encode(manifest, NUMBERS_MAX + 1))).toBeUndefined();
      }
    }
  });

  test("with a flag that is not known is of a newer format", async () => {
    for (let flag = 2; flag < 32; flag++) {
      const bytes = resealed(encode(MANIFEST, 7), (changed) => writeU32(changed, 12, 2 ** flag));
      expect(decode(bytes)).toBe(1);
      const reading = readManifest(nodeChecksum, new MemoryFile(encode(MANIFEST, 6), bytes).handle);
      await expect(reading).rejects.toMatchObject({ code: "FORMAT_NEWER", details: { version: 1 } });
    }
  });

  test("with any byte changed is damaged", () => {
    const bytes = encode(MANIFEST, 7);
    for (let at = 0; at < SLOT_BYTES; at += at < 200 || at > SLOT_BYTES - 10 ? 1 : 101) {
      const changed = bytes.slice();
      changed[at] ^= 1;
      expect(decode(changed), `byte ${at}`).toBeUndefined();
    }
  });

  test("that is cut off is damaged", () => {
    expect(decode(encode(MANIFEST, 7).subarray(0, SLOT_BYTES - 1))).toBeUndefined();
    expect(decode(new Uint8Array(0))).toBeUndefined();
    expect(decode(endingInZero())).toBeDefined();
    expect(decode(endingInZero().subarray(0, SLOT_BYTES - 1))).toBeUndefined();
  });

  test("of another kind of file is damaged, whatever its checksum says", () => {
    for (let at = 0; at < 8; at++) {
      const changed = resealed(encode(MANIFEST, 7), (bytes) => {
        bytes[at] ^= 1;
      });
      expect(decode(changed)).toBeUndefined();
    }
  });

  test("of another format is that format's number", () => {
    for (const format of [0, 2, 99]) {
      const changed = resealed(encode(MANIFEST, 7), (bytes) => writeU32(bytes, 8, format));
      expect(decode(changed)).toBe(format);
    }
  });

  test.each([16, 88, 96, 104, 112, 128, 136, 144, 152, 160, 168])(
    "with a number at %i that is not exact is damaged",
    (at) => {
      const changed = resealed(encode(MANIFEST, 7), (bytes) => {
        bytes[at + 6] = 32;
      });
      expect(decode(changed)).toBeUndefined();
    },
  );
});

describe("both slots", () => {
  const older = { ...MANIFEST, version: 1 };
  const newer = { ...MANIFEST, version: 2 };
  const damaged = new Uint8Array(SLOT_BYTES).fill(1);
  const read = (...slots: Uint8Array[]): ReturnType<typeof readManifest> =>
    readManifest(nodeChecksum, new MemoryFile(...slots).handle);

  test("the newer counts, wherever it is", async () => {
    const [first, second] = [encode(older, 4), encode(newer, 5)];
    const rest = { generation: 5, damagedSlot: undefined };
    expect(await read(first, second)).toEqual({ manifest: newer, ...rest, staleSlot: 0 });
    expect(await read(second, first)).toEqual({ manifest: newer, ...rest, staleSlot: 1 });
  });

  test("of a damaged one and a sound one the sound one counts", async () => {
    const sound = encode(newer, 5);
    const found = { manifest: newer, generation: 5 };
    expect(await read(damaged, sound)).toEqual({ ...found, damagedSlot: 0, staleSlot: 0 });
    expect(await read(sound, damaged)).toEqual({ ...found, damagedSlot: 1, staleSlot: 1 });
    const short = endingInZero().subarray(0, SLOT_BYTES - 1);
    expect(await read(sound, short)).toEqual({ ...found, damagedSlot: 1, staleSlot: 1 });
    expect(await read(sound)).toEqual({ ...found, damagedSlot: 1, staleSlot: 1 });
    expect(await read(sound, sound.subarray(0, 4000))).toEqual({ ...found, damagedSlot: 1, staleSlot: 1 });
  });

  test("neither readable is corruption", async () => {
    await expect(read(damaged, damaged)).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: "MANIFEST", offset: 0 },
    });
    await expect(read()).rejects.toMatchObject({ code: "CORRUPT" });
  });

  test("one of another format refuses the whole", async () => {
    const sound = encode(newer, 5);
    const next = resealed(sound, (bytes) => writeU32(bytes, 8, MANIFEST_FORMAT + 1));
    const before = resealed(sound, (bytes) => writeU32(bytes, 8, 0));
    for (const slots of [
      [next, sound],
      [sound, next],
    ]) {
      await expect(read(...slots)).rejects.toMatchObject({ code: "FORMAT_NEWER", details: { version: 2 } });
    }
    await expect(read(damaged, before)).rejects.toMatchObject({ code: "FORMAT_OLDER" });
  });

  test("tell their format", async () => {
    const sound = encode(newer, 5);
    const next = resealed(sound, (bytes) => writeU32(bytes, 8, 7));
    const format = (...slots: Uint8Array[]): Promise<number | undefined> =>
      readManifestFormat(nodeChecksum, new MemoryFile(...slots).handle);
    expect(await format(sound, sound)).toBe(1);
    expect(await format(sound, next)).toBe(7);
    expect(await format(next, sound)).toBe(7);
    expect(await format(damaged, sound)).toBe(1);
    expect(await format(damaged, damaged)).toBeUndefined();
  });
});

describe("the file", () => {
  const start = { ...MANIFEST, version: 0 };
  const plusOne = (now: Manifest): Manifest => ({ ...now, version: now.version + 1 });

  async function opened(): Promise<{ file: MemoryFile; manifest: ManifestFile }> {
    const file = new MemoryFile(encode(start, 3), encode(start, 4));
    const reading = await readManifest(nodeChecksum, file.handle);
    return { file, manifest: new ManifestFile(nodeChecksum, file.handle, reading) };
  }

  test("T-META-01: is changed one slot after the other, the stale one first, each synced", async () => {
    const { file, manifest } = await opened();
    const done = manifest.update(plusOne);
    expect(manifest.manifest.version).toBe(0);
    await done;
    expect(manifest.manifest.version).toBe(1);
    expect(file.calls).toEqual(["write 0", "sync", "write 1", "sync"]);
    const slots = [0, 1].map((slot) =>
      decode(file.bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)),
    );
    expect(slots).toMatchObject([
      { generation: 5, manifest: { version: 1 } },
      { generation: 6, manifest: { version: 1 } },
    ]);
  });

  test("changes wait for each other, and the close for all", async () => {
    const { file, manifest } = await opened();
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) {
      void manifest.update((now) => {
        seen.push(now.version);
        return plusOne(now);
      });
    }
    await manifest.close();
    expect(seen).toEqual([0, 1, 2]);
    expect(manifest.manifest.version).toBe(3);
    expect(file.calls.length).toBe(13);
    expect(file.calls[12]).toBe("close");
  });

  test("is looked at between two changes, also where a look fails", async () => {
    const { file, manifest } = await opened();
    const looked = (handle: FileHandle): Promise<number> =>
      Promise.resolve(handle === file.handle ? file.calls.length : -1);
    const first = manifest.update(plusOne);
    const look = manifest.undisturbed(looked);
    const failed = manifest.undisturbed(() => Promise.reject(new Error("no look")));
    const second = manifest.update(plusOne);
    expect(await look).toBe(4);
    await expect(failed).rejects.toThrow("no look");
    await Promise.all([first, second]);
    expect([file.calls.length, manifest.manifest.version]).toEqual([8, 2]);
    await manifest.close();
  });

  test.each([1, 2, 3, 4])(
    "a change that fails at call %i leaves the old one in force, and the next begins with the slot in doubt",
    async (call) => {
      const { file, manifest } = await opened();
      file.failFrom = call;
      await expect(manifest.update(plusOne)).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(manifest.manifest.version).toBe(0);
      file.failFrom = Number.POSITIVE_INFINITY;
      file.calls.length = 0;
      await manifest.update((now) => ({ ...now, version: 9 }));
      const first = call <= 2 ? 0 : 1;
      expect(file.calls).toEqual([`write ${first}`, "sync", `write ${1 - first}`, "sync"]);
      const { manifest: found } = await readManifest(nodeChecksum, file.handle);
      expect(found.version).toBe(9);
    },
  );

  test("a close that fails says so", async () => {
    const { file, manifest } = await opened();
    file.failFrom = 1;
    await expect(manifest.close()).rejects.toMatchObject({ code: "IO_ERROR" });
  });
});
