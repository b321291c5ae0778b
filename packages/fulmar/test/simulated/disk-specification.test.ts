import { describe, expect, it } from "vitest";
import { NO_CRYPTOGRAPHY, SimulatedWorld, simulatedStorage } from "../../src/testing/simulated/index.js";
import { outcomes, shown, synced, text } from "./support.js";

describe("reserved space", () => {
  it("loses its size apart from what is written into it", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "");
    await file.truncate(4);
    await file.write(text("x"), 1);
    expect(outcomes(machine.disk, "/a")).toEqual(["", "....", ".x.."].sort());
    await file.syncData();
    expect(outcomes(machine.disk, "/a")).toEqual([".x.."]);
  });

  it("once synced needs no new size: a write into it is there or not", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "");
    await file.truncate(4);
    await file.syncData();
    await file.write(text("xy"), 1);
    expect(outcomes(machine.disk, "/a")).toEqual(["....", ".xy."]);
  });

  it("counts against the space of the disk", async () => {
    const { disk, runtime } = simulatedStorage({ quotaBytes: 100 });
    const file = await runtime.fileSystem.open("/a", "create");
    await expect(file.truncate(101)).rejects.toMatchObject({ code: "ENOSPC" });
    await file.truncate(100);
    expect(disk.freeBytes()).toBe(0);
    expect(await file.write(text("within"), 94)).toBe(6);
  });
});

describe("a full disk", () => {
  it("takes no new name, whatever makes it, and lets old ones be replaced and removed", async () => {
    const machine = simulatedStorage({ quotaBytes: 2 });
    const fs = machine.runtime.fileSystem;
    for (const name of ["/a", "/b"]) await (await synced(machine, name, "x")).close();
    for (const call of [fs.open("/c", "create"), fs.makeDirectory("/d"), fs.rename("/a", "/c")]) {
      await expect(call).rejects.toMatchObject({ code: "ENOSPC" });
    }
    await fs.rename("/a", "/b");
    expect(await fs.list("/")).toEqual(["b"]);
    await fs.makeDirectory("/d");
  });
});

describe("file descriptors", () => {
  it("are needed to list and to sync a directory, too", async () => {
    const fs = simulatedStorage({ openFilesMax: 1 }).runtime.fileSystem;
    const file = await fs.open("/a", "create");
    await expect(fs.list("/")).rejects.toMatchObject({ code: "EMFILE" });
    await expect(fs.syncDirectory("/")).rejects.toMatchObject({ code: "EMFILE" });
    await file.close();
    expect(await fs.list("/")).toEqual(["a"]);
    await fs.syncDirectory("/");
  });

  it("run out at the n-th call, if told so", async () => {
    const { disk, runtime } = simulatedStorage();
    disk.faults.add({ operations: ["open", "create"], nth: 2, times: 2, code: "EMFILE" });
    await (await runtime.fileSystem.open("/a", "create")).close();
    await expect(runtime.fileSystem.open("/b", "create")).rejects.toMatchObject({ code: "EMFILE" });
    await expect(runtime.fileSystem.open("/a", "read")).rejects.toMatchObject({ code: "EMFILE" });
    await (await runtime.fileSystem.open("/a", "read")).close();
  });

  it("are given back by a close that reports an error", async () => {
    const { disk, runtime } = simulatedStorage({ openFilesMax: 1 });
    const file = await runtime.fileSystem.open("/a", "create");
    disk.faults.add({ operations: ["close"], code: "EIO" });
    await expect(file.close()).rejects.toMatchObject({ code: "EIO", syscall: "close" });
    await expect(file.size()).rejects.toMatchObject({ code: "EBADF" });
    await (await runtime.fileSystem.open("/a", "read")).close();
  });
});

describe("a failed sync", () => {
  it("that leaves pages dirty may be made good by the next one", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "old");
    await file.write(text("new"), 0);
    machine.disk.faults.add({ operations: ["sync"], code: "EIO", afterSync: "dirty" });
    await expect(file.syncData()).rejects.toMatchObject({ code: "EIO" });
    expect(outcomes(machine.disk, "/a")).toEqual(["new", "old"]);
    await file.syncData();
    expect(outcomes(machine.disk, "/a")).toEqual(["new"]);
  });

  it.each(["clean", "revert", "dirty"] as const)(
    "may have reached a part of them (%s)",
    async (afterSync) => {
      const machine = simulatedStorage({ seed: 3 });
      const file = await synced(machine, "/a", "-".repeat(40));
      for (let i = 0; i < 40; i++) await file.write(text("x"), i);
      machine.disk.faults.add({ operations: ["sync"], code: "EIO", afterSync, reached: 0.5 });
      await expect(file.syncData()).rejects.toMatchObject({ code: "EIO" });
      const least = shown(machine.disk.image("durable").get("/a")) as string;
      expect(least).toMatch(/^(?=.*x)(?=.*-)[x-]{40}$/);
      const now = shown(machine.disk.image().get("/a"));
      expect(now).toBe(afterSync === "revert" ? least : "x".repeat(40));
      expect(machine.disk.unsynced > 0).toBe(afterSync === "dirty");
    },
  );

  it.each([
    ["clean", ["a"], "absent"],
    ["revert", [], "absent"],
    ["dirty", ["a"], "x"],
  ] as const)("of a directory (%s) does the same to its names", async (afterSync, names, after) => {
    const machine = simulatedStorage();
    const fs = machine.runtime.fileSystem;
    const file = await fs.open("/a", "create");
    await file.write(text("x"), 0);
    await file.syncData();
    machine.disk.faults.add({ operations: ["syncDirectory"], code: "EIO", afterSync });
    await expect(fs.syncDirectory("/")).rejects.toMatchObject({ code: "EIO", syscall: "fsync" });
    expect(await fs.list("/")).toEqual(names);
    await fs.syncDirectory("/");
    expect(outcomes(machine.disk, "/a")).toEqual([after]);
  });
});

describe("calls that take time", () => {
  it("a sync covers what was written before it began, not what is written meanwhile", async () => {
    const world = new SimulatedWorld({ seed: 2, cryptography: NO_CRYPTOGRAPHY });
    const { disk, runtime } = world.node("a");
    const fs = runtime.fileSystem;
    const file = await world.complete(fs.open("/a", "create"));
    await world.complete(fs.syncDirectory("/"));
    file.writeNow(text("before"), 0);
    const sync = file.syncData();
    file.writeNow(text("during"), 6);
    await world.complete(sync);
    expect(shown(disk.image("durable").get("/a"))).toBe("before");
    await world.complete(file.syncData());
    expect(shown(disk.image("durable").get("/a"))).toBe("beforeduring");
  });

  it("a sync of a directory covers the names that it had when it began", async () => {
    const world = new SimulatedWorld({ seed: 2, cryptography: NO_CRYPTOGRAPHY });
    const { disk, runtime } = world.node("a");
    const fs = runtime.fileSystem;
    const outlasted: string[] = [];
    for (let round = 0; round < 20; round++) {
      const [name, sync] = [`/${round}`, fs.syncDirectory("/")];
      await world.complete(Promise.all([sync, fs.open(name, "create")]));
      if (!disk.image("durable").has(name)) outlasted.push(name);
      await world.complete(fs.syncDirectory("/"));
      expect(disk.image("durable").has(name)).toBe(true);
    }
    expect(outlasted.length).toBe(20);
  });
});

describe("a sample of images", () => {
  it("holds cut-off ends, and single operations lost or kept alone", async () => {
    const machine = simulatedStorage();
    const file = await synced(machine, "/a", "-".repeat(20));
    for (let i = 0; i < 20; i++) await file.write(text("x"), i);
    const images = outcomes(machine.disk, "/a", 400);
    const lone = images.filter((image) => image.replaceAll("-", "").length === 1);
    const missing = images.filter((image) => image.replaceAll("x", "").length === 1);
    const prefixes = images.filter((image) => /^x+-+$/.test(image));
    expect([lone.length, missing.length, prefixes.length]).toEqual([20, 20, 19]);
  });

  it("stays legal under the order of a journal", async () => {
    const machine = simulatedStorage({ profile: "ext4-like" });
    const file = await synced(machine, "/a", "");
    for (let i = 0; i < 30; i++) await file.write(text(String.fromCharCode(65 + i)), i);
    for (const image of outcomes(machine.disk, "/a", 200)) {
      expect(image).toBe(String.fromCharCode(...Array.from(image, (_, i) => 65 + i)));
    }
  });
});

describe("clocks", () => {
  it("may be coarse, so that moments tie, and go back", async () => {
    const machine = simulatedStorage({ clock: { resolutionMs: 1000 } });
    const { clock } = machine.runtime;
    const startMs = clock.wallMs();
    await machine.advance(900);
    expect([clock.wallMs() - startMs, startMs % 1000]).toEqual([0, 0]);
    await machine.advance(200);
    expect(clock.wallMs() - startMs).toBe(1000);
    machine.clock.jump(-5000);
    expect(clock.wallMs() - startMs).toBe(-4000);
    expect(clock.monotonicMs()).toBeGreaterThan(1000);
  });
});
