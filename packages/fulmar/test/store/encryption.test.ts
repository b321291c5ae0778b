import { describe, expect, test } from "vitest";
import { readU32, toHex, writeU32 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import type { Cryptography, Runtime } from "../../src/base/runtime/interface.js";
import {
  type Encryption,
  type OpenOptions,
  open,
  repair,
  restore,
  type Store,
  type StoreStatus,
  verify,
} from "../../src/index.js";
import { nodeCryptography, Prng, type SimulatedStorage, simulatedStorage } from "../../src/testing/index.js";
import { edit, filesOf } from "../durability/harness.js";

const ROOT = "/data";
const BACKUP = "/one.backup";
const MARKER = "MARKED";
const [ONE, TWO] = [1, 2].map((byte) => new Uint8Array(32).fill(byte));

function machine(cryptography: Cryptography = nodeCryptography, seed = 1): SimulatedStorage {
  return simulatedStorage({ cryptography, sectorBytes: 512, seed });
}

function openOn(
  { runtime }: Pick<SimulatedStorage, "runtime">,
  encryption: Encryption | undefined,
  options: OpenOptions<string> = {},
): Promise<Store<string>> {
  const base = { codec: "text", segmentBytes: 65_536, runtime } as const;
  return open<string>(ROOT, { ...base, ...options, ...(encryption !== undefined && { encryption }) });
}

/** Files that hold the marker, which every key and value of these tests has in it. */
function marked(storage: SimulatedStorage): string[] {
  const pattern = [...MARKER].map((letter) => letter.charCodeAt(0));
  const holds = (bytes: Uint8Array): boolean => {
    for (let at = bytes.indexOf(pattern[0]); at >= 0; at = bytes.indexOf(pattern[0], at + 1)) {
      if (pattern.every((byte, i) => bytes[at + i] === byte)) return true;
    }
    return false;
  };
  return filesOf(storage, "")
    .filter(([, bytes]) => holds(bytes))
    .map(([path]) => path);
}

/** Enough for several segments; the next one is prepared beside the writes. */
async function fill(db: Store<string>, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await db.set(`${MARKER} ${i}`, MARKER.repeat(1000));
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
  }
}

function keysOf(db: Store<string>): StoreStatus["encryption"] {
  return db.status().encryption;
}

async function errorOf(
  work: Promise<unknown>,
): Promise<{ code?: unknown; message: string; details?: object }> {
  return work.then(
    () => expect.fail("it should have been refused"),
    (error: unknown) => error as { code?: unknown; message: string },
  );
}

/** Opening is refused, and changes nothing. */
async function refusal(storage: SimulatedStorage, encryption: Encryption | undefined) {
  const before = storage.disk.fingerprint();
  const error = await errorOf(openOn({ runtime: storage.restart() }, encryption));
  expect(storage.disk.fingerprint()).toBe(before);
  return error;
}

describe("an encrypted store", () => {
  test("holds neither keys nor values where they can be read, in no file and at no time", async () => {
    const storage = machine();
    for (const compression of ["none", "deflate"] as const) {
      const db = await openOn(storage, { key: ONE }, { compression });
      await fill(db, 0, 30);
      await db.checkpoint();
      await fill(db, 30, 30);
      expect(db.status().log?.segments).toBeGreaterThan(1);
      await db.checkpoint();
      await fill(db, 0, 20);
      await db.backup(`${BACKUP}.${compression}`);
      expect(marked(storage)).toEqual([]);
      await db.close();
      expect(marked(storage)).toEqual([]);
      storage.restart();
    }
    const again = await openOn(storage, { key: ONE });
    expect(again.get(`${MARKER} 59`)).toBe(MARKER.repeat(1000));
    await again.close();
  });

  test("tells a missing key, a wrong one and damage apart, before anything is changed", async () => {
    for (const withCheckpoint of [false, true]) {
      const storage = machine();
      const db = await openOn(storage, { key: ONE });
      await db.set(MARKER, MARKER);
      if (withCheckpoint) await db.checkpoint();
      await db.close();
      const file = `${ROOT}/${withCheckpoint ? "checkpoint/000000000001" : "log/000000000001.log"}`;
      const missing = await refusal(storage, undefined);
      expect(missing).toMatchObject({ code: "ENCRYPTION_KEY_MISSING", details: { file } });
      const wrong = await refusal(storage, { key: TWO });
      expect(wrong).toMatchObject({ code: "ENCRYPTION_KEY_WRONG", details: { file } });
      expect(await refusal(storage, { key: null })).toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
      for (const error of [missing, wrong]) {
        expect(`${error.message} ${JSON.stringify(error.details)}`).not.toMatch(
          /(0101){4}|(0202){4}|(1,){4}/,
        );
      }
      const size = filesOf(storage, file)[0][1].length;
      // Behind the key section: in the first sealed part.
      storage.disk.rot(file, { bits: [8 * Math.min(size - 50, 240)] });
      const damaged = await refusal(storage, { key: ONE });
      expect(damaged).toMatchObject({ code: "CORRUPT", details: { file } });
    }
  });

  test("a damaged key section is damage", async () => {
    const storage = machine();
    await (await openOn(storage, { key: ONE })).close();
    storage.disk.rot(`${ROOT}/log/000000000001.log`, { bits: [8 * 100] });
    const error = await refusal(storage, { key: ONE });
    expect(error).toMatchObject({ code: "CORRUPT", details: { offset: 68 } });
  });

  test("gives watches that resume their past", async () => {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 40);
    await db.checkpoint();
    await fill(db, 40, 3);
    await db.close();
    const again = await openOn({ runtime: storage.restart() }, { key: ONE });
    const versions: number[] = [];
    for await (const { version } of again.watch({}, { since: 1 })) {
      versions.push(version);
      if (version === again.version) break;
    }
    expect(versions).toEqual(Array.from({ length: 42 }, (_, i) => i + 2));
    await again.close();
  });

  test("an option of another shape is refused", async () => {
    const wrong: unknown[] = [
      {},
      null,
      { key: "x" },
      { key: new Uint8Array(31) },
      { key: ONE, previousKeys: ONE },
      { key: ONE, previousKeys: [1] },
      { key: ONE, refusePlain: 1 },
      { key: null, refusePlain: true },
      { getKey: 1, current: "a" },
      { getKey: () => ONE, current: "" },
      { getKey: () => ONE, current: "é".repeat(33) },
      { getKey: () => ONE, current: "\ud800" },
    ];
    for (const encryption of wrong) {
      const error = await errorOf(openOn(machine(), encryption as Encryption));
      expect(error, JSON.stringify(encryption)).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(error).toBeInstanceOf(TypeError);
    }
    const unknown = { key: ONE, keys: [] } as Encryption;
    expect(await errorOf(openOn(machine(), unknown))).toMatchObject({ code: "UNKNOWN_OPTION" });
    const error = await errorOf(open(undefined, { encryption: { key: ONE } }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("keys change", () => {
  test("a former key is needed until the next checkpoint, and then never again", async () => {
    const storage = machine();
    const first = await openOn(storage, { key: ONE });
    await fill(first, 0, 40);
    await first.checkpoint();
    await fill(first, 40, 5);
    const [{ current: one }] = [keysOf(first) ?? { current: null }];
    await first.close();
    expect(await refusal(storage, { key: TWO })).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    const both = { key: TWO, previousKeys: [ONE] };
    const second = await openOn({ runtime: storage.restart() }, both);
    const two = keysOf(second)?.current;
    expect(keysOf(second)).toEqual({ current: two, inUse: [two, one], plain: false });
    await fill(second, 50, 3);
    storage.powerCut();
    const third = await openOn({ runtime: storage.restart() }, both);
    expect(keysOf(third)?.inUse).toEqual([two, one]);
    await third.checkpoint();
    expect(keysOf(third)).toEqual({ current: two, inUse: [two], plain: false });
    storage.powerCut();
    const fourth = await openOn({ runtime: storage.restart() }, { key: TWO });
    expect([...fourth.list()].length).toBe(48);
    expect(keysOf(fourth)?.inUse).toEqual([two]);
    // What a watch could resume from under the former key went with it.
    expect(fourth.status().history.oldest).toBeGreaterThan(40);
    await fourth.close();
  });

  test("a plain store becomes encrypted, and an encrypted one plain", async () => {
    const storage = machine();
    const plain = await openOn(storage, undefined);
    await fill(plain, 0, 40);
    await plain.checkpoint();
    await fill(plain, 40, 5);
    expect(keysOf(plain)).toBeUndefined();
    await plain.close();
    expect(marked(storage).length).toBeGreaterThan(2);

    const refusing = { key: ONE, refusePlain: true };
    expect(await refusal(storage, refusing)).toMatchObject({ code: "NOT_ENCRYPTED" });
    const turning = await openOn({ runtime: storage.restart() }, { key: ONE });
    const before = marked(storage);
    expect(keysOf(turning)).toMatchObject({ plain: true });
    await fill(turning, 50, 30);
    // What is written from now on is encrypted.
    expect(marked(storage)).toEqual(before);
    await turning.checkpoint();
    expect(marked(storage)).toEqual([]);
    expect(keysOf(turning)).toMatchObject({ plain: false });
    await fill(turning, 80, 30);
    expect(marked(storage)).toEqual([]);
    await turning.close();

    const encrypted = await openOn({ runtime: storage.restart() }, refusing);
    expect(encrypted.status().entries).toBe(105);
    await encrypted.close();
    const back = await openOn({ runtime: storage.restart() }, { key: null, previousKeys: [ONE] });
    expect(keysOf(back)).toMatchObject({ current: null, plain: true });
    await back.checkpoint();
    expect(keysOf(back)).toEqual({ current: null, inUse: [], plain: true });
    await back.close();
    const last = await openOn({ runtime: storage.restart() }, undefined);
    expect(last.status().entries).toBe(105);
    await last.close();
  });

  test("a provider is asked once for each key, by its id, and what it cannot give is missing", async () => {
    const keys = new Map([["2026/1", ONE]]);
    const asked: string[] = [];
    let down = false;
    const provider = (current: string | null): Encryption => ({
      current,
      getKey: async (id) => {
        asked.push(id);
        await new Promise(setImmediate);
        if (down) throw new Error("no connection");
        return keys.get(id);
      },
    });
    const storage = machine();
    const first = await openOn(storage, provider("2026/1"));
    await fill(first, 0, 30);
    await first.checkpoint();
    await first.close();
    expect(asked).toEqual(["2026/1"]);

    expect(await refusal(storage, provider("2026/2"))).toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
      details: { keyId: "2026/2" },
    });
    keys.set("2026/2", TWO);
    const second = await openOn({ runtime: storage.restart() }, provider("2026/2"));
    expect(keysOf(second)).toEqual({ current: "2026/2", inUse: ["2026/2", "2026/1"], plain: false });
    await second.checkpoint();
    expect(keysOf(second)?.inUse).toEqual(["2026/2"]);
    await second.close();
    keys.delete("2026/1");
    const third = await openOn({ runtime: storage.restart() }, provider("2026/2"));
    expect(third.status().entries).toBe(30);
    await third.close();

    keys.set("2026/2", ONE);
    expect(await refusal(storage, provider(null))).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    keys.set("2026/2", new Uint8Array(16));
    expect(await refusal(storage, provider(null))).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    down = true;
    const failed = await refusal(storage, provider(null));
    expect(failed).toMatchObject({ code: "ENCRYPTION_KEY_MISSING", cause: { message: "no connection" } });
  });

  test("keys are copied at once, and not read from the caller's array again", async () => {
    const storage = machine();
    const mine = ONE.slice();
    const opening = openOn(storage, { key: mine });
    mine.fill(0);
    const db = await opening;
    await fill(db, 0, 30);
    await db.close();
    expect(mine).toEqual(new Uint8Array(32));
    const again = await openOn({ runtime: storage.restart() }, { key: ONE });
    expect(again.status().entries).toBe(30);
    await again.close();
  });
});

describe("backup, restore, verify and repair", () => {
  async function backedUp(): Promise<SimulatedStorage> {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    await fill(db, 0, 30);
    await db.checkpoint();
    await fill(db, 30, 2);
    await db.backup(BACKUP);
    await db.close();
    return storage;
  }

  test("a backup needs its key, and may be restored under another one", async () => {
    const { runtime } = await backedUp();
    expect(await errorOf(restore(BACKUP, "/a", { runtime }))).toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
    });
    const wrong = restore(BACKUP, "/a", { runtime, encryption: { key: TWO } });
    expect(await errorOf(wrong)).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    await restore(BACKUP, "/a", { runtime, encryption: { key: TWO, previousKeys: [ONE] } });
    const db = await open<string>("/a", { codec: "text", runtime, encryption: { key: TWO } });
    expect(db.status().entries).toBe(32);
    await db.close();
    await restore(BACKUP, "/b", { runtime, encryption: { key: null, previousKeys: [ONE] } });
    const plain = await open<string>("/b", { codec: "text", runtime });
    expect(plain.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await plain.close();
  });

  test("verify reads everything with the key, and says which is missing without", async () => {
    const { runtime } = await backedUp();
    for (const path of [ROOT, BACKUP]) {
      expect(await verify(path, { runtime, encryption: { key: ONE } })).toMatchObject({
        ok: true,
        findings: [],
      });
      expect(await errorOf(verify(path, { runtime }))).toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
      const wrong = verify(path, { runtime, encryption: { key: TWO } });
      expect(await errorOf(wrong)).toMatchObject({ code: "ENCRYPTION_KEY_WRONG" });
    }
  });

  test("a repair saves what it can unseal, also behind damage and with a damaged header", async () => {
    const storage = await backedUp();
    const [[checkpoint]] = filesOf(storage, "checkpoint/");
    const segment = filesOf(storage, ".log").at(-1)?.[0] ?? "";
    // The numbers in both headers, and bytes in the first block.
    storage.disk.rot(checkpoint, { bits: [8 * 17, 8 * 500] });
    storage.disk.rot(segment, { bits: [8 * 17] });
    const runtime = storage.restart();
    expect(await errorOf(repair(ROOT, { runtime }))).toMatchObject({ code: "ENCRYPTION_KEY_MISSING" });
    const report = await repair(ROOT, { runtime, encryption: { key: ONE } });
    expect(report).toMatchObject({ repaired: true, damaged: true });
    const db = await openOn({ runtime }, { key: ONE, refusePlain: true });
    expect(db.status().entries).toBe(report.entries);
    expect(db.status().entries).toBeGreaterThan(10);
    for (const { key, value } of db.list()) {
      expect([String(key).startsWith(MARKER), value]).toEqual([true, MARKER.repeat(1000)]);
    }
    expect(db.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await db.close();
    expect(marked(storage)).toEqual([]);
  });

  test("a key section that is damaged costs what it opens, and the report says so", async () => {
    const storage = await backedUp();
    const [[checkpoint]] = filesOf(storage, "checkpoint/");
    storage.disk.rot(checkpoint, { bits: [8 * 120] });
    const runtime = storage.restart();
    const report = await repair(ROOT, { runtime, encryption: { key: ONE } });
    const lost = report.files.flatMap((file) => file.lost.map(({ what }) => what));
    expect(lost).toContain("the key section, without which nothing can be read");
    const db = await openOn({ runtime }, { key: ONE });
    expect(db.get(`${MARKER} 31`)).toBe(MARKER.repeat(1000));
    await db.close();
  });
});

/** Records each nonce with its key, and fails on the first that comes twice. */
function spying(): { cryptography: Cryptography; sealed: Set<string> } {
  const sealed = new Set<string>();
  const cryptography: Cryptography = {
    ...nodeCryptography,
    sealInPlace(key, nonce, bytes, associated) {
      const mark = `${toHex(key)} ${toHex(nonce)}`;
      if (sealed.has(mark)) throw new Error(`the nonce ${toHex(nonce)} comes twice under one key`);
      sealed.add(mark);
      nodeCryptography.sealInPlace(key, nonce, bytes, associated);
    },
  };
  return { cryptography, sealed };
}

describe("nonces", () => {
  const seed = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

  test(`never come twice, whatever is refused, cut off or opened again (seed ${seed})`, async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography, seed);
    const prng = new Prng(`nonces ${seed}`);
    for (let life = 0; life < 25; life++) {
      const db = await openOn({ runtime: storage.restart() }, { key: ONE });
      for (let i = prng.below(12); i >= 0; i--) {
        if (prng.chance(0.2)) {
          const bytes = prng.below(300);
          storage.disk.faults.add({ operations: ["write"], path: ".log", bytes, code: "ENOSPC" });
        }
        const writes = [0, 1, 2].map((n) => db.set(`k${prng.below(9)}`, `${life} ${i} ${n}`.repeat(40)));
        await Promise.allSettled(writes);
        storage.disk.faults.clear();
      }
      if (prng.chance(0.3)) await db.checkpoint();
      if (prng.chance(0.4)) await db.close();
      else if (prng.chance(0.5)) storage.powerCut();
      else storage.kill();
    }
    expect(sealed.size).toBeGreaterThan(300);
  });

  test("nor in two copies of a directory that are both gone on with", async () => {
    const { cryptography, sealed } = spying();
    const storage = machine(cryptography);
    const db = await openOn(storage, { key: ONE });
    await db.set("a", "1");
    await db.close();
    const before = sealed.size;
    for (const value of ["left", "right"]) {
      const copy = simulatedStorage({ disk: storage.disk.fork(), seed: value.length, cryptography });
      const opened = await openOn(copy, { key: ONE });
      await opened.set("b", value);
      await opened.close();
    }
    expect(sealed.size).toBe(before + 2);
  });
});

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

  async function threeRecords(): Promise<{ storage: SimulatedStorage; at: number[]; runtime: Runtime }> {
    const storage = machine();
    const db = await openOn(storage, { key: ONE });
    for (const value of ["aaaa", "bbbb", "cccc"]) await db.set("k", value);
    storage.kill();
    const [[, bytes]] = filesOf(storage, LOG);
    const at: number[] = [];
    for (let next = 172; readU32(bytes, next) > 0; next += 44 + readU32(bytes, next)) at.push(next);
    expect(at.length).toBe(4);
    return { storage, at, runtime: storage.runtime };
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
