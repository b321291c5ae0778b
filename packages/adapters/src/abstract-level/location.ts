import { stat } from "node:fs/promises";
import { join } from "node:path";

/** The file that a directory is known by to hold a store; see docs/format. */
const MANIFEST = "MANIFEST";

/** Refuses a directory whose store is missing, or there, against the caller's wish. */
export async function checkPresence(
  directory: string,
  options: { readonly createIfMissing?: boolean; readonly errorIfExists?: boolean },
): Promise<void> {
  if (options.createIfMissing !== false && options.errorIfExists !== true) return;
  const exists = await holdsStore(directory);
  if (!exists && options.createIfMissing === false) {
    throw new Error(`${directory} does not exist or holds no store, and createIfMissing is false`);
  }
  if (exists && options.errorIfExists === true) {
    throw new Error(`a store exists in ${directory}, and errorIfExists is true`);
  }
}

async function holdsStore(directory: string): Promise<boolean> {
  try {
    return (await stat(join(directory, MANIFEST))).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}
