import { readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** What others wrote, and what is made of the sources. */
const ELSEWHERE = ["node_modules", "dist", "coverage"];

/**
 * The texts whose programs have to run: every page below `root`, wherever it lies, and the sources of the packages,
 * whose doc comments are pages, too. Paths relative to `root`, in order.
 */
export function textsOf(root, packages) {
  const sources = packages.flatMap((directory) => filesBelow(join(root, directory, "src"), ".ts"));
  return [...filesBelow(root, ".md"), ...sources].map((path) => relative(root, path).split(sep).join("/"));
}

function filesBelow(directory, ending) {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isFile()) return entry.name.endsWith(ending) ? [path] : [];
    const isOurs = entry.isDirectory() && !entry.name.startsWith(".") && !ELSEWHERE.includes(entry.name);
    return isOurs ? filesBelow(path, ending) : [];
  });
}
