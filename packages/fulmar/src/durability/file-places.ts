import { FulmarError } from "../base/errors.js";
import type { FileSystem, Runtime } from "../base/runtime/interface.js";
import { attempt } from "./files.js";
import { isFileName, isRootFileName, type Layout } from "./layout.js";

/** Refuses a directory in the place of any file of a store: none could be written or removed there. */
export async function refuseDirectories(runtime: Runtime, layout: Layout): Promise<void> {
  const { fileSystem } = runtime;
  const { root, log, checkpoints } = layout;
  const places: [string, (name: string) => boolean][] = [
    [root, isRootFileName],
    [log, isFileName],
    [checkpoints, isFileName],
  ];
  for (const [directory, isOurs] of places) {
    // What cannot be listed is told by whoever needs it.
    const names = await fileSystem.list(directory).catch(() => []);
    const paths = names.filter(isOurs).map((name) => fileSystem.join(directory, name));
    await Promise.all(paths.map((path) => refuseDirectory(fileSystem, path)));
  }
}

async function refuseDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  if ((await attempt("look at", path, fileSystem.status(path)))?.kind !== "directory") return;
  const message = `${path} is a directory, where a file of the store belongs: move it elsewhere`;
  throw new FulmarError("PATH_UNUSABLE", message, { path });
}
