import { execFile } from "node:child_process";
import { chmod, cp, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { open, verify } from "../../src/index.js";
import type { SimulatedDisk, SimulatedStorage } from "../../src/testing/simulated/index.js";
import { temporaryDirectory } from "../store/fixture.js";
import { edit, MiniStore, machine, machineOn, ROOT } from "./harness.js";

const run = promisify(execFile);

interface Lived {
  readonly directory: string;
  readonly backup: string;
  readonly incarnation: string;
  readonly stamps: string[];
  readonly versions: number[];
}

/** A directory that went on after it was copied, and the copy. */
async function lived(): Promise<Lived> {
  const parent = await temporaryDirectory();
  const [directory, backup] = [join(parent, "data"), join(parent, "backup")];
  const first = await open<number>(directory);
  await first.set("k", 1);
  const { incarnation } = first.status();
  await first.close();
  await cp(directory, backup, { recursive: true, preserveTimestamps: true });
  const later = await open<number>(directory);
  expect(later.status().incarnation).toBe(incarnation);
  const stamps: string[] = [];
  const versions: number[] = [];
  for (let i = 0; i < 5; i++) {
    const { stamp, version } = await later.set("lost", i);
    stamps.push(`${stamp.origin} ${stamp.seq}`);
    versions.push(version);
  }
  await later.close();
  return { directory, backup, incarnation, stamps, versions };
}

describe("T-ID-02: an older state that is copied over a directory", () => {
  const tools: [string, string, (backup: string, directory: string) => string[]][] = [
    ["cp -a", "cp", (backup, directory) => ["-a", `${backup}/.`, directory]],
    ["cp -r", "cp", (backup, directory) => ["-r", `${backup}/.`, directory]],
    ["rsync --inplace", "rsync", (from, to) => ["-a", "--inplace", "--delete", `${from}/`, to]],
    ["tar", "sh", (from, to) => ["-c", 'tar -C "$0" -cf - . | tar -C "$1" -xf -', from, to]],
  ];

  test.for(tools)(
    "by %s is another writer, which gives no number out twice",
    async ([, tool, words], context) => {
      const { directory, backup, incarnation, stamps, versions } = await lived();
      try {
        await run(tool, words(backup, directory));
      } catch (error) {
        if ((error as { code?: unknown }).code === "ENOENT") context.skip(`${tool} is not installed`);
        throw error;
      }
      const manifest = join(directory, "MANIFEST");
      expect((await verify(directory)).findings).toMatchObject([{ severity: "note", file: manifest }]);
      await using db = await open<number>(directory);
      expect(db.get("lost")).toBeUndefined();
      expect(db.status().incarnation).not.toBe(incarnation);
      const { stamp, version } = await db.set("new", 1);
      expect(stamps).not.toContain(`${stamp.origin} ${stamp.seq}`);
      expect(versions).not.toContain(version);
    },
  );

  test("is no other writer for being given another owner or mode", async () => {
    const { directory, incarnation } = await lived();
    for (const path of ["", "MANIFEST", "log", "log/000000000001.log"])
      await chmod(join(directory, path), 0o750);
    await using db = await open<number>(directory);
    expect(db.status().incarnation).toBe(incarnation);
    // And keeps what it was given.
    expect((await stat(join(directory, "MANIFEST"))).mode & 0o777).toBe(0o750);
  });
});

/** All that a disk holds, as a copy of it would have it. */
function allOf(storage: SimulatedStorage): [string, Uint8Array][] {
  return [...storage.disk.image()];
}

/** Puts files back byte for byte into the files of these names. */
async function putBack(storage: SimulatedStorage, files: [string, Uint8Array][]): Promise<void> {
  for (const [path, bytes] of files) await edit(storage, path, () => bytes);
}

async function closed(): Promise<SimulatedStorage> {
  const storage = machine();
  const store = await MiniStore.open(storage.runtime);
  await store.save("a", "1");
  await store.close();
  return storage;
}

/** Opens what a machine's disk holds and tells who writes there. */
async function writerOf(storage: SimulatedStorage): Promise<string> {
  const store = await MiniStore.open(storage.restart());
  await store.close();
  return store.directory.recovered.incarnation;
}

describe("the manifest", () => {
  test("fits into the place of no other session's, whether they were closed in order or killed", async () => {
    const storage = await closed();
    const states = [allOf(storage)];
    const writers = new Set<string>();
    for (let session = 0; session < 6; session++) {
      const store = await MiniStore.open(storage.restart());
      writers.add(store.directory.recovered.incarnation);
      await store.save("a", String(session));
      if (session % 2 === 0) await store.close();
      else storage.kill();
      states.push(allOf(storage));
    }
    expect(writers.size).toBe(1);
    const last = states.pop();
    expect(last).toBeDefined();
    for (const state of states) {
      const copy = machineOn(storage.disk.fork());
      await putBack(copy, state);
      expect(writers).not.toContain(await writerOf(copy));
    }
    // The very state that it is in is none that was set back.
    await putBack(storage, last ?? []);
    expect(writers).toContain(await writerOf(storage));
  });

  test("names its own file through power cuts and kills at every step of openings", async () => {
    const storage = await closed();
    const writer = await writerOf(machineOn(storage.disk.fork()));
    let disks: SimulatedDisk[] = [storage.disk];
    let opened = 0;
    for (let generation = 0; generation < 3; generation++) {
      const cutOff: SimulatedDisk[] = [];
      for (const disk of disks) {
        const fork = machineOn(disk.fork());
        fork.disk.onOperation = (operation, phase) => {
          if (phase !== "before" || !operation.mutates) return;
          if (generation > 0 && !disk.prng.chance(0.2)) return;
          cutOff.push(fork.disk.fork(), ...fork.disk.durableImages(2));
        };
        expect(await writerOf(fork)).toBe(writer);
        opened++;
      }
      disks = cutOff;
    }
    expect(opened).toBeGreaterThan(50);
  });

  test("is changed in its place where a full disk has no room for another", async () => {
    const storage = await closed();
    const writer = await writerOf(machineOn(storage.disk.fork()));
    const before = (await storage.runtime.fileSystem.status(`${ROOT}/MANIFEST`))?.identity;
    storage.disk.quotaBytes = 1;
    const store = await MiniStore.open(storage.restart());
    expect(store.directory.recovered.incarnation).toBe(writer);
    expect(store.contents().get("a")).toBe("1");
    storage.kill();
    storage.disk.quotaBytes = Number.POSITIVE_INFINITY;
    expect((await storage.restart().fileSystem.status(`${ROOT}/MANIFEST`))?.identity).toBe(before);
    const again = await MiniStore.open(storage.restart());
    expect(again.directory.recovered).toMatchObject({ incarnation: writer, clean: false });
    await again.close();
  });
});
