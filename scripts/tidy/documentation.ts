import ts from "typescript";
import { type Finding, lineOf, nodesOf, parse, type Source } from "./source.ts";

/** A row of the table of errors: `| `CODE` | TypeError | meaning | what to do |`. */
interface DocumentedError {
  readonly code: string;
  readonly kinds: readonly string[];
  readonly line: number;
}

const ERROR_CLASSES: Readonly<Record<string, string>> = {
  FulmarError: "FulmarError",
  FulmarTypeError: "TypeError",
  FulmarRangeError: "RangeError",
};

function documentedErrors(text: string): DocumentedError[] {
  return text.split("\n").flatMap((row, index) => {
    const cells = /^\|\s*`([A-Z_]+)`\s*\|([^|]+)\|/.exec(row);
    return cells === null ? [] : [{ code: cells[1], kinds: cells[2].trim().split(/,\s*/), line: index + 1 }];
  });
}

/** Codes that the catalogue has and the page has not, and the other way round, and codes listed twice. */
export function checkErrorCodes(page: Source, codes: readonly string[]): Finding[] {
  const documented = documentedErrors(page.text);
  const known = new Set(documented.map(({ code }) => code));
  const missing = codes
    .filter((code) => !known.has(code))
    .map((code) => ({ path: page.path, message: `${code} is in the catalogue but not documented` }));
  const surplus = documented
    .filter(
      ({ code }, index) =>
        !codes.includes(code) || documented.findIndex((other) => other.code === code) !== index,
    )
    .map(({ code, line }) => ({
      path: page.path,
      line,
      message: `${code} is not in the catalogue, or listed twice`,
    }));
  return [...missing, ...surplus];
}

/** Errors that the library makes with another class than the page says for their code. */
export function checkErrorKinds(page: Source, sources: readonly Source[]): Finding[] {
  const kinds = new Map(documentedErrors(page.text).map(({ code, kinds }) => [code, kinds]));
  const findings: Finding[] = [];
  for (const source of sources) {
    const file = parse(source);
    for (const node of nodesOf(file)) {
      const made = madeError(node);
      if (made === undefined || kinds.get(made.code)?.includes(made.kind)) continue;
      const message = `makes ${made.code} as ${made.kind}, which ${page.path} does not say`;
      findings.push({ path: source.path, line: lineOf(file, node), message });
    }
  }
  return findings;
}

function madeError(node: ts.Node): { kind: string; code: string } | undefined {
  if (!ts.isNewExpression(node) || !ts.isIdentifier(node.expression)) return undefined;
  const kind = ERROR_CLASSES[node.expression.text];
  const code = node.arguments?.[0];
  return kind !== undefined && code !== undefined && ts.isStringLiteral(code)
    ? { kind, code: code.text }
    : undefined;
}

/** Codes that nothing in the given sources mentions: a promise to users that is never kept. */
export function checkErrorUse(
  codes: readonly string[],
  sources: readonly Source[],
  catalogue: string,
): Finding[] {
  const used = new Set<string>();
  for (const source of sources) {
    for (const node of nodesOf(parse(source))) if (ts.isStringLiteral(node)) used.add(node.text);
  }
  return codes
    .filter((code) => !used.has(code))
    .map((code) => ({ path: catalogue, message: `${code} is in the catalogue but nothing raises it` }));
}

/** Exported items of the given index files that have no doc comment where they are declared. */
export function checkPublicDocumentation(sources: readonly Source[], indexes: readonly string[]): Finding[] {
  const program = programOf(sources, indexes);
  const checker = program.getTypeChecker();
  return indexes.flatMap((path) => {
    const file = program.getSourceFile(`/${path}`);
    const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
    if (module === undefined) return [];
    return checker.getExportsOfModule(module).flatMap((exported) => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (symbol.getDocumentationComment(checker).length > 0) return [];
      const declaration = symbol.declarations?.[0];
      if (declaration === undefined) return [{ path, message: `${exported.name} cannot be resolved` }];
      const declaredIn = declaration.getSourceFile();
      const message = `${exported.name} is exported by ${path} and has no doc comment`;
      return [{ path: declaredIn.fileName.slice(1), line: lineOf(declaredIn, declaration), message }];
    });
  });
}

/** A program over the given texts alone: enough to follow exports to their declarations. */
function programOf(sources: readonly Source[], roots: readonly string[]): ts.Program {
  const texts = new Map(sources.map(({ path, text }) => [`/${path}`, text]));
  const host: ts.CompilerHost = {
    fileExists: (path) => texts.has(path),
    readFile: (path) => texts.get(path),
    getSourceFile: (path, version) => {
      const text = texts.get(path);
      return text === undefined ? undefined : ts.createSourceFile(path, text, version, true);
    },
    getDefaultLibFileName: () => "/lib.d.ts",
    writeFile: () => {},
    getCurrentDirectory: () => "/",
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
  };
  const options: ts.CompilerOptions = {
    noLib: true,
    noResolve: false,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  return ts.createProgram(
    roots.map((path) => `/${path}`),
    options,
    host,
  );
}
