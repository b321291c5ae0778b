import ts from "typescript";
import { type Finding, isLibrary, lineOf, nodesOf, parse, type Source } from "./source.ts";

/** What the library reaches only through `Runtime`, so that a whole cluster can run from one seed. */
const BANNED = new Set([
  "Buffer",
  "Date",
  "FinalizationRegistry",
  "WeakRef",
  "WebSocket",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "console",
  "crypto",
  "fetch",
  "globalThis",
  "performance",
  "process",
  "queueMicrotask",
  "require",
  "setImmediate",
  "setInterval",
  "setTimeout",
]);
const NODE_RUNTIME = "packages/fulmar/src/base/runtime/node/";

/** Uses that are allowed outside the Node runtime, each with its reason. */
export const GLOBAL_EXCEPTIONS: readonly { path: string; names: readonly string[]; reason: string }[] = [
  {
    path: "packages/fulmar/src/testing/simulated/scheduler.ts",
    names: ["setImmediate", "clearImmediate"],
    reason: "simulated time passes only after real promise continuations have run, which takes a real turn",
  },
];

/** Uses of banned globals and of `Math.random` in the library outside base/runtime/node. */
export function checkGlobals(sources: readonly Source[]): Finding[] {
  return sources
    .filter(({ path }) => isLibrary(path) && !path.startsWith(NODE_RUNTIME))
    .flatMap((source) =>
      globalsOf(source)
        .filter(({ name }) => !isExcepted(source.path, name))
        .map(toFinding(source)),
    );
}

function isExcepted(path: string, name: string): boolean {
  return GLOBAL_EXCEPTIONS.some((exception) => exception.path === path && exception.names.includes(name));
}

function toFinding(source: Source): (use: { name: string; line: number }) => Finding {
  return ({ name, line }) => ({
    path: source.path,
    line,
    message: `uses ${name}: go through Runtime instead`,
  });
}

function globalsOf(source: Source): { name: string; line: number }[] {
  const file = parse(source);
  const declared = new Set<string>();
  const uses: { name: string; line: number }[] = [];
  for (const node of nodesOf(file)) {
    if (isRandom(node)) uses.push({ name: "Math.random", line: lineOf(file, node) });
    if (!ts.isIdentifier(node) || !BANNED.has(node.text)) continue;
    if (isDeclaration(node)) declared.add(node.text);
    else if (!isMemberName(node)) uses.push({ name: node.text, line: lineOf(file, node) });
  }
  return uses.filter(({ name }) => !declared.has(name));
}

function isRandom(node: ts.Node): boolean {
  return (
    ts.isPropertyAccessExpression(node) &&
    node.name.text === "random" &&
    ts.isIdentifier(node.expression) &&
    node.expression.text === "Math"
  );
}

/** A name that the file itself gives to a variable, parameter, function or import. */
function isDeclaration(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isImportSpecifier(parent) || ts.isImportClause(parent) || ts.isNamespaceImport(parent)) return true;
  return (
    (ts.isVariableDeclaration(parent) ||
      ts.isParameter(parent) ||
      ts.isFunctionDeclaration(parent) ||
      ts.isClassDeclaration(parent) ||
      ts.isInterfaceDeclaration(parent) ||
      ts.isTypeAliasDeclaration(parent) ||
      ts.isBindingElement(parent)) &&
    parent.name === node
  );
}

/** A name after a dot or in an object, class or interface: a member, which no global is. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  if (ts.isShorthandPropertyAssignment(parent)) return false;
  if (ts.isExportSpecifier(parent) || ts.isNamedTupleMember(parent)) return true;
  return (
    (ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isPropertyAssignment(parent)) &&
    parent.name === node
  );
}
