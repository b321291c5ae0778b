import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** A text file of the project; `path` is relative to the root, with forward slashes. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** What a check found: where, and what to do about it. */
export interface Finding {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

const SKIPPED_DIRECTORIES = new Set(["node_modules", "dist", ".git", "coverage", ".cache"]);
const TEXT_FILE =
  /\.(ts|mts|mjs|cjs|js|json|md|yml|yaml|txt|html|css)$|(^|\/)(LICENSE|run|\.npmrc|\.gitignore)$/;

/** Every text file of the project in order of path, less what is installed or built. */
export function readProject(root: string): Source[] {
  const sources: Source[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory() && !SKIPPED_DIRECTORIES.has(entry.name)) visit(path);
      else if (entry.isFile() && TEXT_FILE.test(path))
        sources.push({ path, text: readFileSync(join(root, path), "utf8") });
    }
  };
  visit("");
  return sources.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether a path, relative to the root, is there: for links to files that are not text. */
export function existsInProject(root: string): (path: string) => boolean {
  return (path) => existsSync(join(root, path));
}

/** Findings as lines for a failure message: empty when there is nothing to mend. */
export function describeFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ path, line, message }) => `${path}${line === undefined ? "" : `:${line}`}: ${message}`)
    .join("\n");
}

export function isCode(path: string): boolean {
  return /\.(ts|mts|mjs|cjs|js)$/.test(path);
}

export function isLibrary(path: string): boolean {
  return path.startsWith("packages/fulmar/src/") && path.endsWith(".ts");
}

export function parse(source: Source): ts.SourceFile {
  return ts.createSourceFile(source.path, source.text, ts.ScriptTarget.Latest, true);
}

/** Line of a node, from 1. */
export function lineOf(file: ts.SourceFile, node: ts.Node): number {
  return file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
}

/** Every node below `file`, parents before children. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  for (const child of children) {
    yield child;
    yield* nodesOf(child);
  }
}
