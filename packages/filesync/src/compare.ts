import { open } from "node:fs/promises";
import { join } from "node:path";
import { FulmarRangeError } from "fulmar";
import { checkDirectory, isList, refusal } from "./check.js";
import type { Skipped } from "./counters.js";
import { noneSkipped } from "./counters.js";
import type { Found } from "./scanner.js";
import { scanTree } from "./scanner.js";

/** One path on which a directory differs from the first. */
export interface TreeDifference {
  readonly path: string;
  /** The directory that differs from the first. */
  readonly directory: string;
  readonly what: "missing" | "extra" | "kind" | "mode" | "size" | "content";
}

export interface TreeComparison {
  readonly equal: boolean;
  /** Of the first directory. */
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
  /** The first {@link DIFFERENCES_MAX}. */
  readonly differences: readonly TreeDifference[];
  /** Symbolic links and the like that were not compared, in all directories. */
  readonly skipped: Skipped;
}

/** So many differences are listed. */
export const DIFFERENCES_MAX = 1_000;
const PIECE_BYTES = 256 * 1024;

type Tree = Map<string, Found["state"]>;

/**
 * Compares trees with the first of them: paths, kinds, permission bits and every byte. Rejects with INVALID_ARGUMENT
 * for what are not two paths or more, otherwise as the system does.
 */
export async function compareTrees(directories: readonly string[]): Promise<TreeComparison> {
  checkDirectories(directories);
  const [first, ...others] = directories;
  const skipped = noneSkipped();
  const reference = await readTree(first, skipped);
  const differences: TreeDifference[] = [];
  for (const directory of others) {
    const tree = await readTree(directory, skipped);
    for (const path of new Set([...reference.keys(), ...tree.keys()])) {
      if (differences.length >= DIFFERENCES_MAX) break;
      const what = await differenceAt(path, { directory: first, tree: reference }, { directory, tree });
      if (what !== undefined) differences.push({ path, directory, what });
    }
  }
  const states = [...reference.values()];
  const files = states.filter(({ kind }) => kind === "file");
  return {
    equal: differences.length === 0,
    files: files.length,
    directories: states.length - files.length,
    bytes: files.reduce((sum, { print }) => sum + print.size, 0),
    differences,
    skipped,
  };
}

function checkDirectories(directories: unknown): asserts directories is readonly [string, ...string[]] {
  if (!isList(directories)) throw refusal("compareTrees: directories must be an array of paths");
  for (const directory of directories) checkDirectory(directory, "compareTrees: each of directories");
  if (directories.length >= 2) return;
  throw new FulmarRangeError("INVALID_ARGUMENT", "compareTrees: at least two directories are needed");
}

async function readTree(directory: string, skipped: Skipped): Promise<Tree> {
  const tree: Tree = new Map();
  for await (const { path, state } of scanTree(directory, skipped)) tree.set(path, state);
  return tree;
}

interface Side {
  readonly directory: string;
  readonly tree: Tree;
}

async function differenceAt(path: string, a: Side, b: Side): Promise<TreeDifference["what"] | undefined> {
  const one = a.tree.get(path);
  const two = b.tree.get(path);
  if (one === undefined) return "extra";
  if (two === undefined) return "missing";
  if (one.kind !== two.kind) return "kind";
  if (one.print.mode !== two.print.mode) return "mode";
  if (one.print.size !== two.print.size) return "size";
  if (one.kind === "directory") return undefined;
  return (await sameBytes(join(a.directory, path), join(b.directory, path))) ? undefined : "content";
}

async function sameBytes(a: string, b: string): Promise<boolean> {
  const handles = [await open(a, "r")];
  try {
    handles.push(await open(b, "r"));
    const buffers = handles.map(() => Buffer.alloc(PIECE_BYTES));
    for (let position = 0; ; ) {
      const read = await Promise.all(
        handles.map((handle, i) => fill(handle, buffers[i] as Buffer, position)),
      );
      const [one, two] = read as [Buffer, Buffer];
      if (!one.equals(two)) return false;
      if (one.length === 0) return true;
      position += one.length;
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
}

async function fill(
  handle: Awaited<ReturnType<typeof open>>,
  buffer: Buffer,
  position: number,
): Promise<Buffer> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
