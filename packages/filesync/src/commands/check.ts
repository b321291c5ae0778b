import { stat } from "node:fs/promises";
import type { TreeComparison } from "../compare.js";
import { compareTrees, DIFFERENCES_MAX } from "../compare.js";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./exit-codes.js";

/** Compares directories and prints what differs; returns the exit code. */
export async function check(directories: readonly string[], json: boolean): Promise<number> {
  const problem = await usageProblem(directories);
  if (problem !== undefined) {
    process.stderr.write(`fulmar-filesync check: ${problem}\n`);
    return EXIT_USAGE;
  }
  const comparison = await compareTrees(directories);
  process.stdout.write(json ? `${JSON.stringify(comparison)}\n` : describe(comparison, directories.length));
  return comparison.equal ? EXIT_OK : EXIT_FAILED;
}

async function usageProblem(directories: readonly string[]): Promise<string | undefined> {
  if (directories.length < 2) return "give at least two directories: --dirs A,B";
  for (const directory of directories) {
    const stats = await stat(directory).catch(() => undefined);
    if (stats?.isDirectory() !== true) return `${directory} is not a directory that can be read`;
  }
  return undefined;
}

function describe(comparison: TreeComparison, count: number): string {
  const { equal, files, directories, bytes, differences, skipped } = comparison;
  const notCompared = Object.values(skipped).reduce((sum: number, one: number) => sum + one, 0);
  const lines = differences.map(({ path, directory, what }) => `${what.padEnd(8)} ${path}  (${directory})`);
  if (differences.length === DIFFERENCES_MAX) lines.push("... and perhaps more");
  if (equal)
    lines.push(`equal: ${count} trees of ${files} files, ${directories} directories, ${bytes} bytes`);
  else lines.push(`different: ${differences.length} paths`);
  if (notCompared > 0) lines.push(`not compared: ${notCompared} symbolic links, special or unreadable files`);
  return `${lines.join("\n")}\n`;
}
