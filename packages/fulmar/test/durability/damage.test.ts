import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../src/base/bytes.js";
import { FIRST_RECORD_AT } from "../../src/durability/log-scan.js";
import { recordBytes, SEGMENT_HEADER_BYTES } from "../../src/durability/segment-format.js";
import { verifyDirectory } from "../../src/durability/verify.js";
import type { SimulatedStorage } from "../../src/testing/simulated/index.js";
import { watchAllocations } from "../fuzz/allocations.js";
import {
  edit,
  filesOf,
  MiniStore,
  machine,
  machineOn,
  ROOT,
  refusal,
  replayed,
  type Written,
} from "./harness.js";

const LOG = `${ROOT}/log/000000000001.log`;

/** A segment without the zeros behind its last record. */
function recordsOf(bytes: Uint8Array): Uint8Array {
  let end = SEGMENT_HEADER_BYTES;
  while (end + 4 <= bytes.length && readU32(bytes, end) > 0) end += recordBytes(readU32(bytes, end));
  return bytes.slice(0, end);
}

/** A store that was killed after `count` synced commits, and what they were; its log ends with the last of them. */
async function killed(
  count: number,
  options: { clean?: boolean } = {},
): Promise<{ storage: SimulatedStorage; written: Written[] }> {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  for (let i = 0; i < count; i++) await store.save(`key ${i}`, `value ${i}`);
  if (options.clean === true) await store.close();
  else {
    storage.kill();
    await edit(storage, LOG, recordsOf);
  }
  return { storage, written: store.written };
}

describe("a torn tail", () => {
  test("T-WAL-01, T-WAL-02, T-REC-04: cut at every byte it opens, goes on, and keeps what follows", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    store.put("a", "1");
    store.put("b", "2");
    store.put("c", "3");
    store.log.want("logged");
    await store.until(() => store.loggedVersion === 3);
    storage.kill();
    const [, whole] = filesOf(storage, ".log")[0];
    const prefixes = new Set<number>();
    for (let length = FIRST_RECORD_AT; length < whole.length; length++) {
      const torn = machineOn(storage.disk.fork());
      await edit(torn, LOG, (bytes) => bytes.slice(0, length));
      const again = await MiniStore.open(torn.restart());
      const survivors = store.written.slice(0, again.engine.version);
      prefixes.add(survivors.length);
      expect(again.contents()).toEqual(replayed(survivors));
      await again.save("c", "later");
      torn.powerCut();
      const third = await MiniStore.open(torn.restart());
      expect(third.contents()).toEqual(replayed(again.written, replayed(survivors)));
      await third.close();
    }
    expect([...prefixes]).toEqual([0, 1, 2]);
  });

  test("T-WAL-08: garbage behind the end is cut off, and never comes back", async () => {
    const { storage, written } = await killed(2);
    await edit(
      storage,
      LOG,
      (bytes) => new Uint8Array([...bytes, ...Array.from({ length: 90 }, (_, i) => i + 1)]),
    );
    const store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.cutBytes).toBe(90);
    expect(store.contents()).toEqual(replayed(written));
    await store.save("later", "x");
    await store.close();
    expect(filesOf(storage, ".log").map(([path]) => path)).toEqual([LOG, `${ROOT}/log/000000000002.log`]);
    const again = await MiniStore.open(storage.restart());
    expect(again.contents()).toEqual(replayed([...written, ...store.written]));
    await again.close();
  });

  test("T-WAL-08: behind zeros that were written ahead as well", async () => {
    const storage = machine();
    const first = await MiniStore.open(storage.runtime);
    await first.save("a", "1");
    storage.kill();
    const [, whole] = filesOf(storage, ".log")[0];
    expect([whole.length, recordsOf(whole).length < 1000]).toEqual([4096, true]);
    const rotten = machineOn(storage.disk.fork());
    rotten.disk.rot(LOG, { bits: [8 * 4000] });
    const store = await MiniStore.open(rotten.restart());
    expect(store.directory.recovered.cutBytes).toBe(4001 - recordsOf(whole).length);
    await store.save("b", "2");
    rotten.powerCut();
    const again = await MiniStore.open(rotten.restart());
    expect(again.contents()).toEqual(replayed([...first.written, ...store.written]));
    await again.close();
    // Without it the log goes on in the same file.
    const next = await MiniStore.open(storage.restart());
    await next.save("b", "2");
    expect(filesOf(storage, ".log").map(([path]) => path)).toEqual([LOG]);
    await next.close();
  });

  test("T-WAL-03: a length of 4 GiB allocates nothing beyond the file", async () => {
    const { storage, written } = await killed(1);
    await edit(storage, LOG, (bytes) => {
      const end = FIRST_RECORD_AT + 44 + readU32(bytes, FIRST_RECORD_AT);
      const longer = new Uint8Array(end + 64);
      longer.set(bytes.subarray(0, end));
      // The head of the record that comes next, which claims to be huge, with a checksum that fits.
      longer.set(bytes.subarray(FIRST_RECORD_AT, FIRST_RECORD_AT + 40), end);
      writeU32(longer, end, 0xffffffff);
      longer[end + 16]++;
      writeU32(longer, end + 32, readU32(bytes, end - 4));
      writeU32(longer, end + 36, storage.runtime.checksum.crc32(longer, end, end + 36, 0));
      return longer;
    });
    // Chunks are no longer than what is left of the file.
    const stop = watchAllocations(64 * 1024);
    try {
      await verifyDirectory(storage.restart(), ROOT);
    } finally {
      stop();
    }
    const store = await MiniStore.open(storage.restart());
    expect(store.contents()).toEqual(replayed(written));
    await store.close();
  });
});

describe("corruption", () => {
  test("T-WAL-08, T-REC-08: a bit in record 1 of 100 is refused, with file and offset", async () => {
    const { storage } = await killed(100);
    storage.disk.rot(LOG, { bits: [(FIRST_RECORD_AT + 50) * 8] });
    const error = await refusal(storage);
    expect(error).toMatchObject({ code: "CORRUPT", details: { file: LOG, offset: FIRST_RECORD_AT } });
    expect(error.message).toContain("fulmar check");
  });

  test("T-WAL-09: every single flipped bit of a log is refused, or cuts off the unproven last record", async () => {
    const { storage, written } = await killed(3);
    const [, bytes] = filesOf(storage, ".log")[0];
    let cut = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const rotten = machineOn(storage.disk.fork());
      rotten.disk.rot(LOG, { bits: [bit] });
      const store = await MiniStore.open(rotten.restart()).catch((error: { code: string }) => error);
      if (!(store instanceof MiniStore)) {
        expect(store.code).toBe("CORRUPT");
        continue;
      }
      cut++;
      // The third commit was never stated to be synced by anything behind it.
      expect(store.contents()).toEqual(replayed(written.slice(0, 2)));
      await store.close();
    }
    expect(cut).toBeGreaterThan(100);
    expect(cut).toBeLessThan((bytes.length * 8) / 3);
  }, 600_000);

  test("T-WAL-09: after an orderly close every single flipped bit of the log is refused", async () => {
    const { storage } = await killed(2, { clean: true });
    const [, bytes] = filesOf(storage, ".log")[0];
    for (let bit = 0; bit < bytes.length * 8; bit += 3) {
      const rotten = machineOn(storage.disk.fork());
      rotten.disk.rot(LOG, { bits: [bit] });
      expect((await refusal(rotten)).code).toBe("CORRUPT");
    }
  }, 600_000);

  test("T-SNAP-01, T-REC-02: every flipped bit and every shorter length of a checkpoint is refused", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    for (let i = 0; i < 3; i++) await store.save(`key ${i}`, `value ${i}`);
    await store.checkpoint();
    await store.close();
    const [[path, bytes]] = filesOf(storage, "/checkpoint/");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const rotten = machineOn(storage.disk.fork());
      rotten.disk.rot(path, { bits: [bit] });
      expect((await refusal(rotten)).code, `bit ${bit}`).toBe("CORRUPT");
    }
    for (let length = 0; length < bytes.length; length += 7) {
      const rotten = machineOn(storage.disk.fork());
      await edit(rotten, path, (whole) => whole.slice(0, length));
      expect((await refusal(rotten)).code).toBe("CORRUPT");
    }
  }, 600_000);

  test("T-META-01: every flipped bit of one manifest slot is survived, in both slots it is refused", async () => {
    const { storage, written } = await killed(2, { clean: true });
    const path = `${ROOT}/MANIFEST`;
    const bits = Array.from({ length: 180 * 8 }, (_, bit) => bit).concat([4000 * 8, 4095 * 8 + 7]);
    for (const bit of bits) {
      const rotten = machineOn(storage.disk.fork());
      rotten.disk.rot(path, { bits: [bit + (bit % 2) * 4096 * 8] });
      const store = await MiniStore.open(rotten.restart());
      expect(store.contents()).toEqual(replayed(written));
      expect(store.directory.recovered).toMatchObject({ clean: true, version: 2, seq: 2 });
      rotten.kill();
      const both = machineOn(storage.disk.fork());
      both.disk.rot(path, { bits: [bit, bit + 4096 * 8] });
      expect((await refusal(both)).code).toBe("CORRUPT");
    }
  }, 600_000);

  test("T-META-02: a manifest cut at any length never opens as an empty store", async () => {
    const { storage, written } = await killed(2);
    for (let length = 0; length < 8192; length += 256) {
      const torn = machineOn(storage.disk.fork());
      await edit(torn, `${ROOT}/MANIFEST`, (bytes) => bytes.slice(0, length));
      const store = await MiniStore.open(torn.restart()).catch((error: { code: string }) => error);
      if (store instanceof MiniStore) {
        expect(store.contents()).toEqual(replayed(written));
        await store.close();
      } else {
        expect([length < 4096, store.code]).toEqual([true, "CORRUPT"]);
      }
    }
  });

  test("T-REC-03: a checkpoint or segment that is missing or cannot be opened is refused", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await store.save("a", "1");
    await store.checkpoint();
    await store.close();
    for (const part of ["/checkpoint/0", ".log"]) {
      const [[path]] = filesOf(storage, part);
      const missing = machineOn(storage.disk.fork());
      await missing.restart().fileSystem.remove(path);
      await missing.runtime.fileSystem.syncDirectory(missing.runtime.fileSystem.parent(path));
      expect(await refusal(missing)).toMatchObject({ code: "CORRUPT", details: { file: path } });
      const locked = machineOn(storage.disk.fork());
      locked.disk.faults.add({ operations: ["open"], path, code: "EACCES" });
      expect((await refusal(locked)).code).toBe("ACCESS_DENIED");
    }
  });

  test("T-REC-05: segments are ordered by number; one in the middle cannot go missing or be renamed", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    for (let i = 0; i < 30; i++) {
      await store.save(`k${i}`, "x".repeat(700));
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    }
    await store.close();
    const paths = filesOf(storage, ".log").map(([path]) => path);
    expect(paths.length).toBeGreaterThan(3);
    const gone = machineOn(storage.disk.fork());
    await gone.restart().fileSystem.remove(paths[1]);
    await gone.runtime.fileSystem.syncDirectory(`${ROOT}/log`);
    expect((await refusal(gone)).code).toBe("CORRUPT");
    const renamed = machineOn(storage.disk.fork());
    await renamed.restart().fileSystem.rename(paths[1], paths[2]);
    await renamed.runtime.fileSystem.syncDirectory(`${ROOT}/log`);
    expect(await refusal(renamed)).toMatchObject({ code: "CORRUPT", details: { file: paths[2] } });
  });

  test("T-REC-05: a missing segment is noticed although nothing behind it was ever synced", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    while (store.directory.status().segments < 4) {
      store.put("k", `${store.version} ${"x".repeat(700)}`);
      store.log.want("logged");
      await store.until(() => store.loggedVersion === store.version);
      for (let turns = 0; turns < 4; turns++) await store.runtime.timers.turn();
    }
    expect(store.syncedVersion).toBe(0);
    storage.kill();
    const { fileSystem } = storage.restart();
    await fileSystem.remove(`${ROOT}/log/000000000002.log`);
    expect(await refusal(storage)).toMatchObject({
      code: "CORRUPT",
      details: { file: `${ROOT}/log/000000000002.log` },
    });
  });

  test("T-META-03: an older manifest put back beside a newer log is refused", async () => {
    const { storage } = await killed(2, { clean: true });
    const [, older] = filesOf(storage, "MANIFEST")[0];
    const store = await MiniStore.open(storage.restart());
    await store.save("later", "x");
    await store.close();
    await edit(storage, `${ROOT}/MANIFEST`, () => older);
    expect((await refusal(storage)).code).toBe("CORRUPT");
  });

  test("a file of a newer format is refused as such", async () => {
    const { storage } = await killed(1);
    await edit(storage, LOG, (bytes) => {
      writeU32(bytes, 8, 2);
      writeU32(bytes, 64, storage.runtime.checksum.crc32(bytes, 0, 64, 0));
      return undefined;
    });
    expect(await refusal(storage)).toMatchObject({ code: "FORMAT_NEWER", details: { version: 2 } });
  });
});

describe("directories of others", () => {
  test("a directory with other files is refused and not touched", async () => {
    const storage = machine();
    const { fileSystem } = storage.runtime;
    await fileSystem.makeDirectory(ROOT);
    await (await fileSystem.open(`${ROOT}/thesis.txt`, "create")).close();
    expect((await refusal(storage)).code).toBe("NOT_A_STORE");
    expect(filesOf(storage, ROOT).map(([path]) => path)).toEqual([`${ROOT}/thesis.txt`]);
  });

  test("a store that lost its manifest is refused, not begun anew", async () => {
    const { storage } = await killed(1);
    await storage.restart().fileSystem.remove(`${ROOT}/MANIFEST`);
    await storage.runtime.fileSystem.syncDirectory(ROOT);
    expect((await refusal(storage)).code).toBe("NOT_A_STORE");
  });

  test("a second opener is told that the directory is in use", async () => {
    const storage = machine();
    const store = await MiniStore.open(storage.runtime);
    await expect(MiniStore.open(storage.runtime)).rejects.toMatchObject({ code: "LOCKED" });
    await store.close();
  });

  test("T-ID-02: a copied manifest is another file, so the copy is another writer", async () => {
    const { storage, written } = await killed(2, { clean: true });
    const [, bytes] = filesOf(storage, "MANIFEST")[0];
    const { fileSystem } = storage.restart();
    await fileSystem.remove(`${ROOT}/MANIFEST`);
    const copy = await fileSystem.open(`${ROOT}/MANIFEST`, "create");
    await copy.write(bytes, 0);
    await copy.syncData();
    await copy.close();
    await fileSystem.syncDirectory(ROOT);
    const store = await MiniStore.open(storage.restart());
    const { incarnation, coverage } = store.directory.recovered;
    const [former] = [...coverage.origins()].map(([id]) => id);
    expect(former).not.toBe(incarnation);
    expect(coverage.of(former).upTo).toBe(2);
    expect([store.origins.id(1), store.origins.id(2)]).toEqual([incarnation, former]);
    expect(store.directory.recovered.seq).toBe(0);
    expect(store.contents()).toEqual(replayed(written));
    await store.save("mine", "x");
    storage.kill();
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered).toMatchObject({ incarnation });
    expect(again.directory.recovered.coverage.of(incarnation).upTo).toBe(1);
    await again.close();
  });
});

describe("verification", () => {
  test("reports a healthy directory, strangers, leftovers, a torn tail and damage, and changes nothing", async () => {
    const { storage } = await killed(3);
    const healthy = await verifyDirectory(storage.restart(), ROOT);
    expect(healthy).toMatchObject({
      ok: true,
      clean: false,
      version: 3,
      commits: 3,
      entries: 3,
      segments: 1,
      findings: [],
    });
    const { fileSystem } = storage.runtime;
    for (const name of ["notes.txt", "000000000009.log.tmp"]) {
      await (await fileSystem.open(`${ROOT}/log/${name}`, "create")).close();
    }
    await fileSystem.syncDirectory(`${ROOT}/log`);
    await edit(storage, LOG, (bytes) => new Uint8Array([...bytes, 1, 2, 3]));
    const before = storage.disk.fingerprint();
    const noted = await verifyDirectory(storage.restart(), ROOT);
    expect([noted.ok, noted.findings.map((finding) => finding.severity)]).toEqual([
      true,
      ["note", "note", "note"],
    ]);
    const torn = noted.findings.find(({ message }) => message.includes("torn tail"));
    expect(torn?.file).toBe(LOG);
    storage.disk.rot(LOG, { bits: [FIRST_RECORD_AT * 8 + 400] });
    const damaged = await verifyDirectory(storage.restart(), ROOT);
    expect(damaged.ok).toBe(false);
    expect(damaged.findings[0]).toMatchObject({ severity: "problem", file: LOG, offset: FIRST_RECORD_AT });
    storage.disk.rot(LOG, { bits: [FIRST_RECORD_AT * 8 + 400] });
    expect(storage.disk.fingerprint()).toBe(before);
    await expect(verifyDirectory(storage.restart(), "/")).rejects.toMatchObject({ code: "NOT_A_STORE" });
  });
});
