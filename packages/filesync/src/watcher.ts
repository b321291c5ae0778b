import { relative, sep } from "node:path";
import { watch } from "chokidar";
import { RESERVED_NAME } from "./paths.js";
import type { Root } from "./root.js";

export interface TreeWatcher {
  close(): Promise<void>;
}

/**
 * Reports every path below the root that something happened to. Reports are only hints: whoever gets one
 * looks for himself, and the rescan finds what the system did not report.
 */
export async function watchTree(
  root: Root,
  onPath: (path: string) => void,
  onError: (error: unknown) => void,
): Promise<TreeWatcher> {
  const reserved = root.absolute(RESERVED_NAME);
  const watcher = watch(root.directory, {
    ignoreInitial: true,
    followSymlinks: false,
    atomic: false,
    ignored: (path) => path === reserved || path.startsWith(reserved + sep),
  });
  watcher.on("all", (_event, absolute) => {
    const path = relative(root.directory, absolute).split(sep).join("/");
    if (path !== "" && path !== ".." && !path.startsWith("../")) onPath(path);
  });
  watcher.on("error", onError);
  await new Promise<void>((resolve) => watcher.once("ready", resolve));
  return watcher;
}
