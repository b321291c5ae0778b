import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { RESERVED_NAME } from "../paths.js";

/** A tree in full: for each path its kind, mode and the SHA-256 of every byte of it. */
export interface TreePicture {
  readonly entries: ReadonlyMap<string, string>;
  readonly files: number;
  readonly bytes: number;
}

/** Reads a whole tree. Shares no code with the mirror, so that the two cannot be wrong together. */
export async function pictureOf(directory: string): Promise<TreePicture> {
  const entries = new Map<string, string>();
  let files = 0;
  let bytes = 0;
  const visit = async (relative: string): Promise<void> => {
    for (const name of (await readdir(join(directory, relative))).sort()) {
      if (relative === "" && name === RESERVED_NAME) continue;
      const path = relative === "" ? name : `${relative}/${name}`;
      const stats = await lstat(join(directory, path));
      const mode = (stats.mode & 0o777).toString(8);
      if (stats.isDirectory()) {
        entries.set(path, `directory ${mode}`);
        await visit(path);
      } else if (stats.isFile()) {
        entries.set(path, `file ${mode} ${stats.size} ${await sha256(join(directory, path))}`);
        files++;
        bytes += stats.size;
      }
    }
  };
  await visit("");
  return { entries, files, bytes };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Paths on which two trees differ, with both sides. */
export function differencesOf(a: TreePicture, b: TreePicture): string[] {
  const differences: string[] = [];
  for (const path of new Set([...a.entries.keys(), ...b.entries.keys()])) {
    const [one, two] = [a.entries.get(path), b.entries.get(path)];
    if (one !== two) differences.push(`${path}: ${one ?? "absent"} / ${two ?? "absent"}`);
  }
  return differences;
}

/** The trees' common picture, or what differs from the first. Files that vanish meanwhile count as a difference. */
export async function compareBytes(directories: readonly string[]): Promise<TreePicture | string[]> {
  try {
    const pictures = await Promise.all(directories.map(pictureOf));
    const [first, ...others] = pictures as [TreePicture, ...TreePicture[]];
    const differences = others.flatMap((other) => differencesOf(first, other));
    return differences.length === 0 ? first : differences;
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
