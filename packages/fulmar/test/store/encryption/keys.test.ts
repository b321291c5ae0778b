import { describe, expect, test } from "vitest";
import { type Encryption, open } from "../../../src/index.js";
import { nodeCryptography, type SimulatedDisk, simulatedStorage } from "../../../src/testing/index.js";
import { filesOf } from "../../durability/harness.js";
import {
  BACKUP,
  errorOf,
  fill,
  keysOf,
  MARKER,
  machine,
  marked,
  ONE,
  openOn,
  ROOT,
  refusal,
  TWO,
} from "./support.js";

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
      { key: ONE, asFound: "yes" },
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
    // Each kind of file is asked for itself.
    const checkpoint = `${ROOT}/checkpoint/000000000001`;
    const first = await refusal(storage, refusing);
    expect(first).toMatchObject({ code: "NOT_ENCRYPTED", details: { file: checkpoint } });
    const unsaved = machine();
    await (await openOn(unsaved, undefined)).close();
    const log = `${ROOT}/log/000000000001.log`;
    const second = await refusal(unsaved, refusing);
    expect(second).toMatchObject({ code: "NOT_ENCRYPTED", details: { file: log } });
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

  test("unless a directory is to go on as it is found: plain, or under its key by the id that it has", async () => {
    const given = { key: TWO, previousKeys: [ONE], asFound: true } as const;
    const storage = machine();
    const named: Encryption = { current: "2026/1", getKey: () => ONE };
    for (const [encryption, id] of [
      [undefined, null],
      [named, "2026/1"],
    ] as const) {
      storage.restart();
      const own = await openOn({ runtime: storage.restart() }, encryption);
      await fill(own, 0, 20);
      await own.checkpoint();
      await fill(own, 20, 3);
      // A power cut may bring back what was removed last.
      storage.kill();
      const guest = await openOn({ runtime: storage.restart() }, given);
      const status = { current: id, inUse: id === null ? [] : [id], plain: id === null };
      expect(keysOf(guest)).toEqual(status);
      await fill(guest, 23, 20);
      await guest.checkpoint();
      await fill(guest, 43, 3);
      await guest.backup(`${BACKUP}.${id === null}`);
      expect(keysOf(guest)).toEqual(status);
      await guest.close();
      const after = await openOn({ runtime: storage.restart() }, encryption);
      expect(after.status().entries).toBe(46);
      expect(keysOf(after)).toEqual(id === null ? undefined : status);
      await after.close();
    }
    expect(marked(storage).filter((path) => !path.endsWith("true"))).toEqual([]);
  });

  test("a directory that is new is under the first key though it would go on as it is found", async () => {
    const storage = machine();
    const first = await openOn(storage, { key: ONE, asFound: true });
    await fill(first, 0, 3);
    await first.close();
    expect(marked(storage)).toEqual([]);
    const second = await openOn({ runtime: storage.restart() }, { key: ONE, refusePlain: true });
    expect(second.status().entries).toBe(3);
    await second.close();
  });

  test("also where the first open was killed, and the second one, under another key, lost its power", async () => {
    const storage = simulatedStorage({ cryptography: nodeCryptography, profile: "posix-strict", seed: 1 });
    const killed: SimulatedDisk[] = [];
    const keep = (disk: SimulatedDisk, into: (disk: SimulatedDisk) => void): void => {
      disk.onOperation = (operation, phase) => {
        if (phase === "before" && operation.mutates) into(disk);
      };
    };
    keep(storage.disk, (disk) => killed.push(disk.fork()));
    await (await openOn(storage, { key: ONE })).close();
    const both = { key: TWO, previousKeys: [ONE] };
    let opened = 0;
    for (const disk of killed) {
      const cut: SimulatedDisk[] = [];
      const second = simulatedStorage({ disk, seed: 2, cryptography: nodeCryptography });
      keep(disk, () => cut.push(...disk.durableImages(4)));
      await (await openOn(second, both)).close();
      disk.onOperation = undefined;
      for (const image of cut) {
        const third = simulatedStorage({ disk: image, seed: 3, cryptography: nodeCryptography });
        await (await openOn(third, both)).close();
        opened++;
      }
    }
    expect(opened).toBeGreaterThan(50);
  });
});
