import { stat } from "node:fs/promises";
import type { TreeComparison } from "../compare.js";
import { compareTrees, DIFFERENCES_MAX } from "../compare.js";
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./exit-codes.js";

/** Compares directories and prints what differs; returns the exit code. */
export async function check(directories: readonly string[], json: boolean): Promise<number> {
  const problem = await usageProblem(directories);
  if (problem !== undefined) return refuse(problem);
  let comparison: TreeComparison;
  try {
    comparison = await compareTrees(directories);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  process.stdout.write(json ? `${JSON.stringify(comparison)}\n` : describe(comparison, directories.length));
  if (!comparison.equal) return EXIT_FAILED;
  return comparison.skipped.unreadable === 0 ? EXIT_OK : EXIT_USAGE;
}

function refuse(problem: string): number {
  process.stderr.write(`fulmar-filesync check: ${problem}\n`);
  return EXIT_USAGE;
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
  const { unreadable, ...others } = skipped;
  const notCompared = Object.values(others).reduce((sum: number, one: number) => sum + one, 0);
  const lines = differences.map(({ path, directory, what }) => `${what.padEnd(8)} ${path}  (${directory})`);
  if (differences.length === DIFFERENCES_MAX) lines.push("... and perhaps more");
  if (equal && unreadable > 0) lines.push("unknown: what could be read is equal");
  else if (equal)
    lines.push(`equal: ${count} trees of ${files} files, ${directories} directories, ${bytes} bytes`);
  else lines.push(`different: ${differences.length} paths`);
  if (notCompared > 0)
    lines.push(`not compared: ${notCompared} symbolic links, special files or names that are not mirrored`);
  if (unreadable > 0) lines.push(`not compared: ${unreadable} files or directories that cannot be read`);
  return `${lines.join("\n")}\n`;
}
