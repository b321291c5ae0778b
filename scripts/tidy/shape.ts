import ts from "typescript";
import { type Finding, isCode, isLibrary, lineOf, nodesOf, parse, type Source } from "./source.ts";

/** Hard limits; what to aim at is lower and stands in CONTRIBUTING.md. */
export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;
export const LINE_WIDTH_MAX = 120;

/** Code that ships or that the project is built and checked with; tests are long lists by nature. */
function isProduct(path: string): boolean {
  return isCode(path) && !path.includes("/test/");
}

export function checkFileLength(sources: readonly Source[]): Finding[] {
  return sources
    .filter(({ path }) => isCode(path))
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => ({
      path,
      message: `${lines} lines, at most ${FILE_LINES_MAX}: split it by purpose`,
    }));
}

export function checkFunctionLength(sources: readonly Source[]): Finding[] {
  const findings: Finding[] = [];
  for (const source of sources.filter(({ path }) => isProduct(path))) {
    const file = parse(source);
    for (const node of nodesOf(file)) {
      if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) continue;
      const first = lineOf(file, node);
      const lines = file.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - first;
      if (lines <= FUNCTION_LINES_MAX) continue;
      const message = `a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}: give its steps names`;
      findings.push({ path: source.path, line: first, message });
    }
  }
  return findings;
}

export function checkLineWidth(sources: readonly Source[]): Finding[] {
  return linesOf(sources.filter(({ path }) => isCode(path)))
    .filter(({ text }) => text.length > LINE_WIDTH_MAX)
    .map(({ path, line, text }) => ({
      path,
      line,
      message: `${text.length} columns, at most ${LINE_WIDTH_MAX}`,
    }));
}

/** Marks of unfinished work: what is worth doing is done, or written down where users see it. */
export function checkMarks(sources: readonly Source[]): Finding[] {
  const mark = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`);
  return linesOf(sources.filter(({ path }) => isCode(path) || path.endsWith(".md"))).flatMap(
    ({ path, line, text }) => {
      const found = mark.exec(text);
      return found === null ? [] : [{ path, line, message: `${found[1]}: finish it or leave it out` }];
    },
  );
}

/** `export default` has no name to search for. Configuration files of tools have no choice. */
export function checkDefaultExports(sources: readonly Source[]): Finding[] {
  return sources
    .filter(({ path }) => isCode(path) && !/(^|\/)[a-z]+\.config\.[a-z]+$/.test(path))
    .flatMap((source) => {
      const file = parse(source);
      return file.statements
        .filter((statement) => ts.isExportAssignment(statement) || hasDefaultModifier(statement))
        .map((statement) => ({
          path: source.path,
          line: lineOf(file, statement),
          message: "export default: export by name",
        }));
    });
}

function hasDefaultModifier(statement: ts.Statement): boolean {
  if (!ts.canHaveModifiers(statement)) return false;
  return ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false;
}

/** A module that awaits while it loads cannot be loaded by `require`. */
export function checkTopLevelAwait(sources: readonly Source[]): Finding[] {
  const findings: Finding[] = [];
  for (const source of sources.filter(({ path }) => isLibrary(path))) {
    const file = parse(source);
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node)) return;
      const awaits =
        ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined);
      if (awaits)
        findings.push({ path: source.path, line: lineOf(file, node), message: "awaits at the top level" });
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return findings;
}

function linesOf(sources: readonly Source[]): { path: string; line: number; text: string }[] {
  return sources.flatMap(({ path, text }) =>
    text.split("\n").map((content, index) => ({ path, line: index + 1, text: content })),
  );
}
