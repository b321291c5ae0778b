import { posix } from "node:path";
import type { Finding, Source } from "./source.ts";

interface Link {
  readonly target: string;
  readonly line: number;
}

/** Relative links of Markdown files that lead to no file, or to no heading of it. */
export function checkLinks(sources: readonly Source[], exists: (path: string) => boolean): Finding[] {
  const pages = new Map(
    sources.filter(({ path }) => path.endsWith(".md")).map((source) => [source.path, source]),
  );
  return [...pages.values()].flatMap((page) =>
    linksOf(page.text).flatMap(({ target, line }) => {
      const message = broken(page.path, target, pages, exists);
      return message === undefined ? [] : [{ path: page.path, line, message }];
    }),
  );
}

function broken(
  from: string,
  target: string,
  pages: ReadonlyMap<string, Source>,
  exists: (path: string) => boolean,
): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) return undefined;
  const [file, anchor] = target.split("#");
  const path = file === "" ? from : posix.normalize(posix.join(posix.dirname(from), decodeURI(file)));
  if (path.startsWith("..") || !exists(path)) return `links to ${path}, which is not there`;
  const page = pages.get(path);
  if (anchor === undefined || page === undefined) return undefined;
  return anchorsOf(page.text).has(anchor)
    ? undefined
    : `links to #${anchor}, which no heading of ${path} has`;
}

function linksOf(text: string): Link[] {
  return proseOf(text).flatMap((content, index) => {
    const matches = content.matchAll(
      /\]\(\s*<?([^)\s>]+)>?[^)]*\)|(?:src|href)="([^"]+)"|^\[[^\]]+\]:\s*(\S+)/g,
    );
    return [...matches].map((match) => ({ target: match[1] ?? match[2] ?? match[3], line: index + 1 }));
  });
}

/** Headings as the anchors that code hosts make of them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const content of proseOf(text, true)) {
    const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(content);
    if (heading === null) continue;
    const slug = slugOf(heading[1]);
    let anchor = slug;
    for (let copy = 1; anchors.has(anchor); copy += 1) anchor = `${slug}-${copy}`;
    anchors.add(anchor);
  }
  return anchors;
}

function slugOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** Lines with fenced blocks blanked, and spans of code too unless `spans`, so that line numbers stay. */
function proseOf(text: string, spans = false): string[] {
  let fence: string | undefined;
  return text.split("\n").map((content) => {
    const mark = /^\s*(```+|~~~+)/.exec(content)?.[1];
    if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      return "";
    }
    if (fence !== undefined) return "";
    return spans ? content : content.replace(/`[^`]*`/g, "");
  });
}
