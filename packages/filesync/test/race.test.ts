import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { encodeMeta, fileKey } from "../src/model.js";
import { memoryStore, mirrorNode } from "./harness.js";
import { fileMeta } from "./store-files.js";

const quicker = vi.hoisted(() => ({ at: "" }));

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    mkdir: async (path: string, options?: object) => {
      if (path === quicker.at) {
        quicker.at = "";
        await real.mkdir(path);
      }
      return real.mkdir(path, options);
    },
  };
});

test("a directory that somebody else makes at the same moment is no error", async () => {
  const store = await memoryStore();
  const { directory, mirror } = await mirrorNode(store);
  quicker.at = join(directory, "d");
  const meta = { ...fileMeta(""), kind: "directory", mode: 0o700, sha256: "" } as const;
  await store.set(fileKey("d"), encodeMeta(meta));
  await mirror.settled();
  expect(quicker.at).toBe("");
  expect(mirror.status()).toMatchObject({ errors: 0, pending: 0 });
  expect((await stat(join(directory, "d"))).isDirectory()).toBe(true);
  await mkdir(join(directory, "e"));
  await mirror.rescan();
  expect(mirror.status()).toMatchObject({ errors: 0, idle: true });
});
