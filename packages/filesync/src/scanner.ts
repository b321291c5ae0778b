import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Skipped } from "./counters.js";
import { noneSkipped } from "./counters.js";
import type { PresentState } from "./disk.js";
import { isMissing, look } from "./disk.js";
import { childPath, pathFault, RESERVED_NAME } from "./paths.js";

/** One mirrored thing on the disk. */
export interface Found {
  readonly path: string;
  readonly state: PresentState;
}

/** So many files are looked at together. */
const LOOKS_AT_ONCE = 64;

/**
 * Walks a tree, parents before children and names in order, without ever following a symbolic link.
 * What is not mirrored is counted in `skipped`.
 */
export async function* scanTree(directory: string, skipped: Skipped = noneSkipped()): AsyncGenerator<Found> {
  const stack = [""];
  while (stack.length > 0) {
    const parent = stack.pop() as string;
    const names = await namesIn(directory, parent, skipped);
    const inside: string[] = [];
    for (let i = 0; i < names.length; i += LOOKS_AT_ONCE) {
      const group = names.slice(i, i + LOOKS_AT_ONCE);
      // In a directory that may be listed, and not entered, nothing can be looked at; the others go on.
      const states = await Promise.all(
        group.map((path) => look(join(directory, path)).catch(() => undefined)),
      );
      for (const [k, state] of states.entries()) {
        if (state === undefined) skipped.unreadable++;
        if (state === undefined) continue;
        if (state.kind === "other") skipped.special++;
        if (state.kind === "absent" || state.kind === "other") continue;
        if (state.kind === "directory") inside.push(group[k] as string);
        yield { path: group[k] as string, state };
      }
    }
    stack.push(...inside.reverse());
  }
}

/** The paths in one directory that may be mirrored, in order. */
async function namesIn(directory: string, parent: string, skipped: Skipped): Promise<string[]> {
  let entries: Dirent[];
  try {
    entries = await readdir(join(directory, parent), { withFileTypes: true });
  } catch (error) {
    if (parent === "") throw error;
    if (!isMissing(error)) skipped.unreadable++;
    return [];
  }
  const paths: string[] = [];
  for (const entry of entries) {
    if (parent === "" && entry.name === RESERVED_NAME) continue;
    const path = childPath(parent, entry.name);
    if (entry.isSymbolicLink()) skipped.symlinks++;
    else if (!entry.isFile() && !entry.isDirectory()) skipped.special++;
    else if (pathFault(path) !== undefined) skipped.names++;
    else paths.push(path);
  }
  return paths.sort();
}
