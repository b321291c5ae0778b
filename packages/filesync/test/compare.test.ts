import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compareTrees } from "../src/compare.js";
import { temporaryDirectory } from "./harness.js";

async function sampleTree(): Promise<string> {
  const root = await temporaryDirectory();
  await mkdir(join(root, "d/empty"), { recursive: true });
  await writeFile(join(root, "d/f"), "content");
  await writeFile(join(root, "big"), new Uint8Array(600_000).fill(7));
  await mkdir(join(root, ".fulmar"));
  await writeFile(join(root, ".fulmar/identity"), root);
  return root;
}

test("equal trees are equal, whatever the mirrors keep for themselves", async () => {
  const comparison = await compareTrees([await sampleTree(), await sampleTree(), await sampleTree()]);
  expect(comparison).toMatchObject({
    equal: true,
    files: 2,
    directories: 2,
    bytes: 600_007,
    differences: [],
  });
});

test.each<[string, string, (root: string) => Promise<unknown>]>([
  ["missing", "d/f", (root) => rm(join(root, "d/f"))],
  ["extra", "new", (root) => writeFile(join(root, "new"), "")],
  ["mode", "d/f", (root) => chmod(join(root, "d/f"), 0o600)],
  ["mode", "d", (root) => chmod(join(root, "d"), 0o700)],
  ["size", "d/f", (root) => writeFile(join(root, "d/f"), "contents")],
  ["content", "d/f", (root) => writeFile(join(root, "d/f"), "Content")],
  ["content", "big", (root) => writeFile(join(root, "big"), new Uint8Array(600_000).fill(7, 0, 599_999))],
  ["missing", "d/empty", (root) => rm(join(root, "d/empty"), { recursive: true })],
  [
    "kind",
    "d/empty",
    (root) => rm(join(root, "d/empty"), { recursive: true }).then(() => writeFile(join(root, "d/empty"), "")),
  ],
])("finds a difference: %s at %s", async (what, path, change) => {
  const trees = [await sampleTree(), await sampleTree(), await sampleTree()];
  const last = trees[2] as string;
  await change(last);
  const comparison = await compareTrees(trees);
  expect(comparison.differences).toEqual([{ path, directory: last, what }]);
  expect(comparison.equal).toBe(false);
});
