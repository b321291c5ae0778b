import { execFileSync } from "node:child_process";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { noneSkipped } from "../src/counters.js";
import { scanTree } from "../src/scanner.js";
import { temporaryDirectory } from "./harness.js";

async function pathsIn(directory: string, skipped = noneSkipped()): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of scanTree(directory, skipped)) paths.push(path);
  return paths;
}

test("finds files and directories, parents first, and nothing of its own", async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, "b/c"), { recursive: true });
  await mkdir(join(root, ".fulmar"));
  await mkdir(join(root, "empty"));
  for (const path of ["a", "b/x", "b/c/y", ".fulmar/identity"]) await writeFile(join(root, path), path);
  expect(await pathsIn(root)).toEqual(["a", "b", "empty", "b/c", "b/x", "b/c/y"]);
});

test("symbolic links, pipes and impossible names are counted, never followed", async () => {
  const root = await temporaryDirectory();
  const outside = await temporaryDirectory();
  await writeFile(join(outside, "secret"), "secret");
  await symlink(outside, join(root, "link"));
  await symlink(join(outside, "secret"), join(root, "file-link"));
  await symlink(root, join(root, "loop"));
  execFileSync("mkfifo", [join(root, "pipe")]);
  await writeFile(join(root, "back\\slash"), "");
  await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x66, 0xff])]), "");
  await writeFile(join(root, "plain"), "");
  const skipped = noneSkipped();
  expect(await pathsIn(root, skipped)).toEqual(["plain"]);
  expect(skipped).toEqual({ symlinks: 3, special: 1, names: 2, unreadable: 0 });
});

test("a directory that may be listed and not entered is counted, and the others go on", async (context) => {
  if (process.platform === "win32") context.skip("needs permission bits");
  const isRoot = process.getuid?.() === 0;
  if (isRoot && process.seteuid === undefined) context.skip("root may enter everything");
  const root = await temporaryDirectory();
  for (const name of ["closed", "open"]) await mkdir(join(root, name));
  for (const path of ["closed/a", "closed/b", "open/c", "z"]) await writeFile(join(root, path), "");
  await chmod(root, 0o755);
  await chmod(join(root, "closed"), 0o444);
  const skipped = noneSkipped();
  try {
    if (isRoot) process.seteuid?.(65_534);
    expect(await pathsIn(root, skipped)).toEqual(["closed", "open", "z", "open/c"]);
  } finally {
    if (isRoot) process.seteuid?.(0);
    await chmod(join(root, "closed"), 0o755);
  }
  expect(skipped).toEqual({ symlinks: 0, special: 0, names: 0, unreadable: 2 });
});

test("more files than are looked at together", async () => {
  const root = await temporaryDirectory();
  const names = Array.from({ length: 150 }, (_, i) => `f${String(i).padStart(3, "0")}`);
  for (const name of names) await writeFile(join(root, name), "");
  expect(await pathsIn(root)).toEqual(names);
});
