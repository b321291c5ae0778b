import { describe, expect, it } from "vitest";
import { simulatedStorage } from "../../src/testing/simulated/index.js";
import { outcomes, shown, synced, text } from "./support.js";

describe("what a power cut may leave (posix-strict)", () => {
  it("keeps everything that was synced, with its name", async () => {
    const machine = simulatedStorage();
    await synced(machine, "/a", "kept");
    expect(outcomes(machine.disk, "/a")).toEqual(["kept"]);
    expect(machine.disk.unsynced).toBe(0);
  });

  it("loses the name of a synced file whose directory was not synced", async () => {
    const machine = simulatedStorage();
    const file = await machine.runtime.fileSystem.open("/a", "create");
    await file.write(text("data"), 0);
    await file.syncData();
    expect(outcomes(machine.disk, "/a")).toEqual(["absent", "data"]);
  });

  it("separates the name, the size and the bytes of an un-synced file", async () => {
    const machine = simulatedStorage();
    const file = await machine.runtime.fileSystem.open("/a", "create");
    await file.write(text("ab"), 0);
    expect(outcomes(machine.disk, "/a")).toEqual(["", "..", "ab", "absent"].sort());
  });

  it("persists a later write without an earlier one", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "----");
    await file.write(text("1"), 0);
    await file.write(text("2"), 2);
    expect(outcomes(machine.disk, "/a")).toEqual(["----", "--2-", "1---", "1-2-"]);
  });

  it("persists the sectors of one write independently", async () => {
    const machine = simulatedStorage({ sectorBytes: 512 });
    const file = await synced(machine, "/a", "-".repeat(1024));
    await file.write(text("aabb"), 510);
    const middles = [...machine.disk.durableImages()].map((disk) =>
      shown(disk.image().get("/a")?.slice(510, 514)),
    );
    expect(middles.sort()).toEqual(["----", "--bb", "aa--", "aabb"]);
  });

  it("tears a sector at any byte only when sectors are not atomic", async () => {
    for (const sectorAtomic of [true, false]) {
      const machine = simulatedStorage({ sectorAtomic });
      const file = await synced(machine, "/a", "---");
      await file.write(text("abc"), 0);
      const torn = ["a--", "ab-"];
      expect(outcomes(machine.disk, "/a")).toEqual(["---", ...(sectorAtomic ? [] : torn), "abc"]);
    }
  });

  it("renames before the data of the renamed file, but never to neither file", async () => {
    const machine = simulatedStorage();
    const fs = machine.runtime.fileSystem;
    await synced(machine, "/a", "old");
    const next = await fs.open("/next", "create");
    await next.write(text("new"), 0);
    await fs.rename("/next", "/a");
    expect(outcomes(machine.disk, "/a")).toEqual(["", "...", "new", "old"].sort());
    await next.syncData();
    expect(outcomes(machine.disk, "/a")).toEqual(["new", "old"]);
    await fs.syncDirectory("/");
    expect(outcomes(machine.disk, "/a")).toEqual(["new"]);
    expect(outcomes(machine.disk, "/next")).toEqual(["absent"]);
  });

  it("reorders a truncation with the writes after it", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "old");
    await file.truncate(0);
    await file.write(text("n"), 0);
    expect(outcomes(machine.disk, "/a")).toEqual(["", ".", "n", "nld", "o", "old"].sort());
  });

  it("brings a removed file back until its directory is synced", async () => {
    const machine = simulatedStorage();
    const fs = machine.runtime.fileSystem;
    await (await synced(machine, "/a", "x")).close();
    await fs.remove("/a");
    expect(outcomes(machine.disk, "/a")).toEqual(["absent", "x"]);
    await fs.syncDirectory("/");
    expect(outcomes(machine.disk, "/a")).toEqual(["absent"]);
    expect(machine.disk.state.inodes.size).toBe(1);
  });

  it("still writes and syncs a removed file through an open handle, and forgets it when that closes", async () => {
    const machine = simulatedStorage({ quotaBytes: 4 });
    const fs = machine.runtime.fileSystem;
    const file = await synced(machine, "/a", "x");
    await fs.remove("/a");
    await fs.syncDirectory("/");
    await file.write(text("yyyy"), 0);
    await file.syncData();
    await expect(fs.open("/b", "create")).rejects.toMatchObject({ code: "ENOSPC" });
    await file.close();
    await fs.open("/b", "create");
  });

  it("loses a directory with all that is in it", async () => {
    const machine = simulatedStorage();
    const fs = machine.runtime.fileSystem;
    await fs.makeDirectory("/d/e");
    await synced(machine, "/d/e/f", "x");
    expect(outcomes(machine.disk, "/d/e/f")).toEqual(["absent", "x"]);
    await fs.syncDirectory("/d");
    await fs.syncDirectory("/");
    expect(outcomes(machine.disk, "/d/e/f")).toEqual(["x"]);
  });

  it("shows old bytes instead of zeros where data is missing, if asked to", async () => {
    const machine = simulatedStorage({ staleGarbage: true });
    const file = await synced(machine, "/a", "");
    await file.write(new Uint8Array(64), 0);
    const images = [...machine.disk.durableImages()].map((disk) => disk.image().get("/a") ?? text("absent"));
    expect(images.some((bytes) => bytes.length === 64 && bytes.some((byte) => byte !== 0))).toBe(true);
  });
});

describe("a file that is moved and moved back (posix-strict)", () => {
  it("is not moved once more by an earlier rename that becomes durable later", async () => {
    const machine = simulatedStorage();
    const fs = machine.runtime.fileSystem;
    for (const path of ["/from", "/to"]) await fs.makeDirectory(path);
    await synced(machine, "/to/a", "x");
    for (const path of ["/", "/from", "/to"]) await fs.syncDirectory(path);
    await fs.rename("/to/a", "/from/a");
    await fs.rename("/from/a", "/to/a");
    // The first is durable with `from`, the second with `to`.
    await fs.syncDirectory("/to");
    await fs.syncDirectory("/from");
    expect([...machine.disk.image("durable").keys()]).toEqual(["/to/a"]);
    expect(outcomes(machine.disk, "/to/a")).toEqual(["x"]);
  });
});

describe("what a power cut may leave (ext4-like)", () => {
  const profile = "ext4-like";

  it("persists growth only after its data, and overwrites in any order", async () => {
    const machine = simulatedStorage({ profile });
    const file = await synced(machine, "/a", "--");
    await file.write(text("X"), 0);
    await file.write(text("new"), 2);
    expect(outcomes(machine.disk, "/a")).toEqual(["--", "X-", "--new", "X-new"].sort());
  });

  it("renames over a file only after the data, and keeps the order of directory operations", async () => {
    const machine = simulatedStorage({ profile });
    const fs = machine.runtime.fileSystem;
    await synced(machine, "/a", "old");
    const next = await fs.open("/next", "create");
    await next.write(text("new"), 0);
    await fs.rename("/next", "/a");
    await fs.makeDirectory("/later");
    expect(outcomes(machine.disk, "/a")).toEqual(["new", "old"]);
    for (const image of machine.disk.durableImages()) {
      const later = await simulatedStorage({ disk: image }).runtime.fileSystem.status("/later");
      if (later !== undefined) expect(shown(image.image().get("/a"))).toBe("new");
    }
  });

  it("persists the name of a new file with its first sync", async () => {
    const machine = simulatedStorage({ profile });
    const file = await machine.runtime.fileSystem.open("/a", "create");
    await file.write(text("x"), 0);
    await file.syncData();
    expect(outcomes(machine.disk, "/a")).toEqual(["x"]);
  });

  it("persists the name of a new file with its first sync even when it is empty", async () => {
    const machine = simulatedStorage({ profile });
    await (await machine.runtime.fileSystem.open("/a", "create")).syncData();
    expect(outcomes(machine.disk, "/a")).toEqual([""]);
  });

  it("renames over a file only after bytes that were overwritten in place", async () => {
    const machine = simulatedStorage({ profile });
    await synced(machine, "/a", "old");
    const next = await synced(machine, "/next", "---");
    await next.write(text("new"), 0);
    await machine.runtime.fileSystem.rename("/next", "/a");
    expect(outcomes(machine.disk, "/a")).toEqual(["new", "old"]);
  });

  it("keeps the order of directory operations around one that a failed sync lost", async () => {
    const machine = simulatedStorage({ profile });
    const fs = machine.runtime.fileSystem;
    await fs.makeDirectory("/a");
    await fs.syncDirectory("/");
    await fs.makeDirectory("/before");
    // One is not the last operation when it is lost, the other is.
    for (const [lost, next] of [
      ["/a/lost", "/between"],
      ["/a/too", undefined],
    ] as const) {
      await fs.makeDirectory(lost);
      if (next !== undefined) await fs.makeDirectory(next);
      machine.disk.faults.add({ operations: ["syncDirectory"], code: "EIO" });
      await expect(fs.syncDirectory("/a")).rejects.toMatchObject({ code: "EIO" });
    }
    await fs.makeDirectory("/after");
    const images = [...machine.disk.durableImages()];
    const names = images.map((disk) => simulatedStorage({ disk }).runtime.fileSystem.list("/"));
    const left = (await Promise.all(names)).map((each) => each.join()).sort();
    expect(left).toEqual(["a", "a,after,before,between", "a,before", "a,before,between"]);
  });

  it("does not write into space that an un-persisted truncation frees", async () => {
    const machine = simulatedStorage({ profile });
    const file = await synced(machine, "/a", "old");
    await file.truncate(0);
    await file.write(text("n"), 0);
    expect(outcomes(machine.disk, "/a")).toEqual(["", "n", "old"]);
  });
});

describe("power cuts and kills", () => {
  it("draws every legal image sooner or later, and no other", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "----");
    await file.write(text("1"), 0);
    await file.write(text("2"), 2);
    const legal = new Set(["----", "--2-", "1---", "1-2-"]);
    const drawn = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const copy = machine.disk.fork();
      copy.powerCut(machine.disk.prng);
      const content = shown(copy.image().get("/a")) as string;
      expect(legal).toContain(content);
      drawn.add(content);
    }
    expect(drawn.size).toBe(legal.size);
  });

  it("samples within the limit, the two extremes included, when there are too many images", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "-".repeat(20));
    for (let i = 0; i < 20; i++) await file.write(text("x"), i);
    const images = outcomes(machine.disk, "/a");
    expect(images.length).toBeGreaterThan(20);
    expect(images).toContain("-".repeat(20));
    expect(images).toContain("x".repeat(20));
    expect([...machine.disk.durableImages(10)].length).toBeLessThanOrEqual(10);
  });

  it("keeps un-synced writes through a kill, and shuts out the killed program", async () => {
    const machine = simulatedStorage();
    const before = machine.runtime.fileSystem;
    const file = await before.open("/a", "create");
    await file.write(text("ab"), 0);
    const lock = await before.lock("/");
    machine.kill();
    await expect(file.write(text("X"), 0)).rejects.toMatchObject({ code: "SIMULATED_KILL" });
    expect(() => file.writeNow(text("X"), 0)).toThrow(/killed/);
    await expect(lock.release()).rejects.toThrow(/killed/);
    await expect(before.open("/b", "create")).rejects.toThrow(/killed/);
    const after = machine.restart().fileSystem;
    expect(await after.list("/")).toEqual(["a"]);
    expect(shown(machine.disk.image().get("/a"))).toBe("ab");
    await (await after.lock("/")).release();
  });

  it("leaves a copy of a disk alone", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "one");
    const copy = machine.disk.fork();
    await file.write(text("two"), 0);
    await file.syncData();
    expect(shown(copy.image().get("/a"))).toBe("one");
    expect(shown(copy.image("durable").get("/a"))).toBe("one");
    expect(copy.fingerprint()).not.toBe(machine.disk.fingerprint());
  });
});
