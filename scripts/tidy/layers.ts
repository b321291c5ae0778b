import ts from "typescript";
import { type Finding, isLibrary, lineOf, nodesOf, parse, type Source } from "./source.ts";

const LIBRARY = "packages/fulmar/src/";
/** The rooms of the library from the ground up: each may import itself and those before it. */
export const LAYERS: readonly string[] = [
  "base",
  "keys",
  "codec",
  "record",
  "memory",
  "durability",
  "transaction",
  "store",
  "sync",
  "consensus",
  "testing",
];
/** The only room that may know which system it runs on. */
const NODE_RUNTIME = `${LIBRARY}base/runtime/node/`;

interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** Imports, re-exports, `import()` and `import("...")` types of a file, type-only ones included. */
function importsOf(source: Source): Import[] {
  const file = parse(source);
  const imports: Import[] = [];
  for (const node of nodesOf(file)) {
    const specifier = specifierOf(node);
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) {
      imports.push({ specifier: specifier.text, line: lineOf(file, node) });
    }
  }
  return imports;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    return node.arguments[0];
  return undefined;
}

/** Imports that go up a layer, reach outside the library, or touch the system outside the Node runtime. */
export function checkLayers(sources: readonly Source[]): Finding[] {
  const findings: Finding[] = [];
  for (const source of sources.filter(({ path }) => isLibrary(path))) {
    for (const { specifier, line } of importsOf(source)) {
      const message = specifier.startsWith(".")
        ? upward(source.path, specifier)
        : outside(source.path, specifier);
      if (message !== undefined) findings.push({ path: source.path, line, message });
    }
  }
  return findings;
}

function outside(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith("node:")) return `imports "${specifier}": the library has no dependencies`;
  if (path.startsWith(NODE_RUNTIME)) return undefined;
  return `imports "${specifier}": only base/runtime/node may; go through Runtime instead`;
}

function upward(path: string, specifier: string): string | undefined {
  const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
  if (!target.startsWith(LIBRARY)) return `imports ${target}, which is not part of the library`;
  const from = layerOf(path);
  const to = layerOf(target);
  if (from === undefined) return undefined;
  if (to === undefined) return `imports ${target}: nothing in a layer may import the package's index`;
  if (LAYERS.indexOf(to) <= LAYERS.indexOf(from)) return undefined;
  return `${from} imports ${to}, which stands above it (${LAYERS.join(" < ")})`;
}

/** The layer of a file; undefined for the index at the root, which stands above all of them. */
function layerOf(path: string): string | undefined {
  const rest = path.slice(LIBRARY.length);
  return rest.includes("/") ? rest.slice(0, rest.indexOf("/")) : undefined;
}

/** Folders of the library that have no place in the order of layers. */
export function checkRooms(sources: readonly Source[]): Finding[] {
  const rooms = sources
    .filter(({ path }) => isLibrary(path))
    .map(({ path }) => [layerOf(path), path] as const);
  return rooms
    .filter(([layer]) => layer !== undefined && !LAYERS.includes(layer))
    .map(([layer, path]) => ({
      path,
      message: `${layer} is not a layer of the library: see LAYERS in scripts/tidy`,
    }));
}
