import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { nodeFileSystem } from "../../src/base/runtime/node/file-system.js";
import {
  fileSystemCases,
  NO_CRYPTOGRAPHY,
  SimulatedWorld,
  simulatedStorage,
} from "../../src/testing/simulated/index.js";

describe("file system conformance", () => {
  describe.each(["posix-strict", "ext4-like"] as const)("simulated, %s", (profile) => {
    it.each(fileSystemCases)("$name", async ({ run }) => {
      const fs = simulatedStorage({ profile, sectorBytes: 512 }).runtime.fileSystem;
      await fs.makeDirectory("/data");
      await run(fs, "/data");
    });
  });

  describe("simulated, calls take virtual time", () => {
    it.each(fileSystemCases)("$name", async ({ run }) => {
      const world = new SimulatedWorld({ seed: 1, cryptography: NO_CRYPTOGRAPHY });
      const fs = world.node("a").runtime.fileSystem;
      await world.complete(fs.makeDirectory("/data"));
      await world.complete(run(fs, "/data"));
    });
  });

  describe("the machine's own", () => {
    it.each(fileSystemCases)("$name", async ({ run }) => {
      const directory = await mkdtemp(join(tmpdir(), "fulmar-conformance-"));
      try {
        await run(nodeFileSystem, directory);
      } finally {
        await rm(directory, { recursive: true });
      }
    });
  });
});
