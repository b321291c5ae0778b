import { chmod, copyFile, lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RESERVED_NAME } from "../paths.js";
import type { Dice } from "./dice.js";

const BIG_FILE_BYTES = 20 * 1024 * 1024;
/** Not worth copying from a checkout. */
const DERIVED = new Set(["node_modules", ".git", "dist", "coverage"]);

/** Fills a directory with a bit of everything that a file system has. */
export async function writeSampleTree(directory: string, dice: Dice): Promise<void> {
  const at = (path: string): string => join(directory, path);
  await mkdir(at("notes/2026/drafts"), { recursive: true });
  await mkdir(at("empty directory"));
  await mkdir(at("pictures/ülke/日本"), { recursive: true });
  await writeFile(at("README.txt"), "Edit me: the other two directories follow.\n");
  await writeFile(at("empty file"), "");
  await writeFile(at("notes/a name with spaces.md"), "# Spaces\n");
  await writeFile(at("notes/2026/drafts/größe 🐦.txt"), "Names are Unicode.\n");
  await writeFile(at("tool.sh"), '#!/bin/sh\necho "I stay executable"\n');
  await chmod(at("tool.sh"), 0o755);
  await writeFile(at("notes/private.txt"), "for my eyes\n");
  await chmod(at("notes/private.txt"), 0o600);
  for (let i = 0; i < 120; i++) {
    const folder = `files/${i % 6}/${i % 4}`;
    await mkdir(at(folder), { recursive: true });
    await writeFile(at(`${folder}/text ${i}.txt`), `line ${i}\n`.repeat(1 + dice.below(400)));
    await writeFile(at(`pictures/ülke/日本/${i}.bin`), dice.bytes(1 + dice.below(40_000)));
  }
  await writeFile(at("big.bin"), dice.bytes(BIG_FILE_BYTES));
}

/** Copies files and directories; links and special files are not mirrored and so not copied. */
export async function copyTree(
  from: string,
  to: string,
  options: { withoutDerived: boolean },
): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    if (name === RESERVED_NAME || (options.withoutDerived && DERIVED.has(name))) continue;
    const source = join(from, name);
    const target = join(to, name);
    const stats = await lstat(source);
    if (stats.isDirectory()) await copyTree(source, target, options);
    else if (stats.isFile()) await copyFile(source, target);
    if (stats.isDirectory() || stats.isFile()) await chmod(target, stats.mode & 0o777);
  }
}
