import { describe, expect, it } from "vitest";
import { type DiskOperation, simulatedStorage } from "../../src/testing/simulated/index.js";
import { text } from "./support.js";

const shown = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe("faults of a simulated disk", () => {
  it("fails the n-th matching call and only that", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/log", "create");
    const other = await runtime.fileSystem.open("/other", "create");
    disk.faults.add({ operations: ["write"], path: "log", nth: 2, code: "EIO" });
    expect(await other.write(text("a"), 0)).toBe(1);
    expect(await file.write(text("a"), 0)).toBe(1);
    await expect(file.write(text("b"), 1)).rejects.toMatchObject({
      code: "EIO",
      path: "/log",
      syscall: "write",
    });
    expect(await file.write(text("c"), 1)).toBe(1);
    expect(shown(disk.image().get("/log"))).toBe("ac");
  });

  it("fails by probability until the fault is taken out", async () => {
    const { disk, runtime } = simulatedStorage({ seed: 5 });
    const fs = runtime.fileSystem;
    const mend = disk.faults.add({ operations: ["list"], probability: 0.5, code: "EIO" });
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => fs.list("/")));
    const failed = results.filter((result) => result.status === "rejected").length;
    expect(failed).toBeGreaterThan(25);
    expect(failed).toBeLessThan(75);
    mend();
    expect(await fs.list("/")).toEqual([]);
  });

  it("writes short, in line and off the loop", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    disk.faults.add({ operations: ["write"], bytes: 3, times: 2 });
    expect(file.writeNow(text("abcdef"), 0)).toBe(3);
    expect(await file.write(text("defghi"), 3)).toBe(3);
    expect(await file.write(text("ghi"), 6)).toBe(3);
    expect(shown(disk.image().get("/a"))).toBe("abcdefghi");
  });

  it("leaves a part of a failed write in the file if told so", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    disk.faults.add({ operations: ["write"], code: "EIO", bytes: 2 });
    await expect(file.write(text("abcd"), 0)).rejects.toMatchObject({ code: "EIO" });
    expect(shown(disk.image().get("/a"))).toBe("ab");
  });

  it("fills a disk up to the very byte", async () => {
    const { disk, runtime } = simulatedStorage({ quotaBytes: 10 });
    const fs = runtime.fileSystem;
    const file = await fs.open("/a", "create");
    expect(await file.write(text("12345678"), 0)).toBe(8);
    expect(await file.write(text("9abc"), 8)).toBe(2);
    await expect(file.write(text("b"), 10)).rejects.toMatchObject({ code: "ENOSPC" });
    expect(await file.write(text("X"), 0)).toBe(1);
    await expect(fs.open("/b", "create")).rejects.toMatchObject({ code: "ENOSPC" });
    await expect(file.truncate(11)).rejects.toMatchObject({ code: "ENOSPC" });
    await file.truncate(9);
    expect(await file.write(text("z"), 9)).toBe(1);
    disk.quotaBytes = 100;
    await (await fs.open("/b", "create")).close();
  });

  it("refuses one open file too many", async () => {
    const fs = simulatedStorage({ openFilesMax: 2 }).runtime.fileSystem;
    const first = await fs.open("/a", "create");
    await fs.open("/b", "create");
    await expect(fs.open("/a", "read")).rejects.toMatchObject({ code: "EMFILE" });
    await first.close();
    await first.close();
    await fs.open("/a", "read");
    await expect(fs.open("/a", "read")).rejects.toMatchObject({ code: "EMFILE" });
  });

  it("after a failed sync (clean) shows the new bytes, syncs gladly, and never makes them durable", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    await runtime.fileSystem.syncDirectory("/");
    await file.write(text("lost"), 0);
    disk.faults.add({ operations: ["sync"], code: "EIO" });
    await expect(file.syncData()).rejects.toMatchObject({ code: "EIO" });
    expect(shown(disk.image().get("/a"))).toBe("lost");
    await file.syncData();
    await file.write(text("kept"), 4);
    await file.syncData();
    disk.powerCut();
    expect(shown(disk.image().get("/a"))).toBe("\0\0\0\0kept");
  });

  it("after a failed sync (revert) shows the durable bytes", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    await file.write(text("old"), 0);
    file.syncDataNow();
    await file.write(text("newer"), 0);
    disk.faults.add({ operations: ["sync"], code: "EIO", afterSync: "revert" });
    expect(() => file.syncDataNow()).toThrow(/EIO/);
    expect(shown(disk.image().get("/a"))).toBe("old");
  });

  it("reports a failed writeback once, on whichever handle syncs first", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    const second = await runtime.fileSystem.open("/a", "update");
    await file.write(text("x"), 0);
    disk.failWriteback("/a");
    await expect(second.syncData()).rejects.toMatchObject({ code: "EIO" });
    await file.syncData();
    expect(shown(disk.image("durable").get("/a") ?? text("no name"))).toBe("no name");
    await runtime.fileSystem.syncDirectory("/");
    expect(disk.image("durable").get("/a")?.length).toBe(0);
  });

  it("spoils reads in each of its ways, once, and leaves the file alone", async () => {
    for (const spoil of ["bit", "zero-sector", "misdirected-sector"] as const) {
      const { disk, runtime } = simulatedStorage({ sectorBytes: 512 });
      const file = await runtime.fileSystem.open("/a", "create");
      const content = Uint8Array.from({ length: 2048 }, (_, i) => 1 + (i >> 9));
      await file.write(content, 0);
      disk.faults.add({ operations: ["read"], spoil });
      const target = new Uint8Array(2048);
      expect(await file.read(target, 0)).toBe(2048);
      const wrong = target.filter((byte, i) => byte !== content[i]).length;
      expect(wrong).toBe(spoil === "bit" ? 1 : 512);
      if (spoil === "zero-sector") expect(target.filter((byte) => byte === 0).length).toBe(512);
      await file.read(target, 0);
      expect(target).toEqual(content);
    }
  });

  it("rots bits of a file at rest for good", async () => {
    const { disk, runtime } = simulatedStorage();
    const file = await runtime.fileSystem.open("/a", "create");
    await file.write(text("aaaa"), 0);
    await file.syncData();
    await runtime.fileSystem.syncDirectory("/");
    disk.rot("/a", { bits: [9] });
    expect(shown(disk.image().get("/a"))).toBe("acaa");
    disk.powerCut();
    expect(shown(disk.image().get("/a"))).toBe("acaa");
  });

  it("tells its hook of every call, which may kill the program before or after the effect", async () => {
    for (const phase of ["before", "after"] as const) {
      const machine = simulatedStorage();
      const calls: DiskOperation[] = [];
      machine.disk.onOperation = (operation, at) => {
        if (at === "before") calls.push(operation);
        if (operation.kind === "write" && at === phase) machine.kill();
      };
      const file = await machine.runtime.fileSystem.open("/a", "create");
      await expect(file.write(text("x"), 0)).rejects.toMatchObject({ code: "SIMULATED_KILL" });
      expect(calls.map(({ number, kind, path, mutates }) => [number, kind, path, mutates])).toEqual([
        [1, "create", "/a", true],
        [2, "write", "/a", true],
      ]);
      expect(shown(machine.disk.image().get("/a"))).toBe(phase === "after" ? "x" : "");
    }
  });
});
