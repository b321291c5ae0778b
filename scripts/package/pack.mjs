import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { environmentWithoutNpm } from "../test/command.mjs";

/** The root of the workspace. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The directories of the packages that are published. */
export const PUBLISHED = ["packages/fulmar", "packages/cli", "packages/filesync", "packages/adapters"];

const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** Runs npm quietly, as if from a plain shell, and returns what it printed. */
export function runNpm(args, cwd) {
  return execFileSync(npm, args, {
    cwd,
    env: environmentWithoutNpm(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    shell: process.platform === "win32",
  });
}

/** Packs the published packages as a release would: name, path of the tarball and files of each. */
export function packAll(destination) {
  const selection = PUBLISHED.flatMap((directory) => ["--workspace", directory]);
  const output = runNpm(["pack", "--json", "--pack-destination", destination, ...selection], root);
  return JSON.parse(output).map(({ name, filename, files, size }) => ({
    name,
    tarball: join(destination, filename),
    files: files.map(({ path }) => path),
    sizeBytes: size,
  }));
}

/** Calls `work` with a directory of its own, and removes it afterwards. */
export async function withScratch(work) {
  const scratch = mkdtempSync(join(tmpdir(), "fulmar-package-"));
  try {
    return await work(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
