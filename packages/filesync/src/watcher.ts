import { join, relative, sep } from "node:path";
import { watch } from "chokidar";
import { DirectoryLooks } from "./directory-looks.js";
import { parentPath, pathFault, RESERVED_NAME } from "./paths.js";
import type { Root } from "./root.js";

export interface TreeWatcher {
  close(): Promise<void>;
}

/** A report can come before the change that it reports is complete; so a second look comes later. */
const SECOND_LOOK_MS = 150;

/**
 * Reports every path below the root that something happened to. Reports are only hints: whoever gets one
 * looks for himself, and the rescan finds what the system did not report.
 */
export async function watchTree(
  root: Root,
  isKnown: (path: string) => boolean,
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
  const looks = new DirectoryLooks(root, isKnown, onPath);
  const secondLooks = new Map<string, NodeJS.Timeout>();
  const report = (path: string): void => {
    onPath(path);
    if (secondLooks.has(path)) return;
    const look = (): void => {
      secondLooks.delete(path);
      onPath(path);
    };
    secondLooks.set(path, setTimeout(look, SECOND_LOOK_MS));
  };
  const reportAt = (absolute: string): string | undefined => {
    const path = relative(root.directory, absolute).split(sep).join("/");
    if (pathFault(path) !== undefined) return undefined;
    report(path);
    return path;
  };
  watcher.on("all", (event, absolute) => {
    const path = reportAt(absolute);
    if (path !== undefined) looks.mark(event === "addDir" ? path : parentPath(path));
  });
  // What the system says, before chokidar leaves out what it takes for repeated or does not know of.
  watcher.on("raw", (_event, name: string | null, details) => {
    const { watchedPath } = details as { readonly watchedPath: string };
    reportAt(watchedPath);
    if (name !== null) reportAt(join(watchedPath, name));
  });
  watcher.on("error", onError);
  await new Promise<void>((resolve) => watcher.once("ready", resolve));
  return {
    async close() {
      looks.close();
      await watcher.close();
      for (const timer of secondLooks.values()) clearTimeout(timer);
    },
  };
}
