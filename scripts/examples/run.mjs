// Runs every program in examples/, and every complete program in the documentation and in the doc comments,
// against the built packages. Each runs in a directory of its own, must end by itself, and must exit with 0. What is
// TypeScript has to compile in strict mode, too, and what a line is said to print is compared.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import ts from "typescript";
import { PUBLISHED, root } from "../package/pack.mjs";
import { programsOf } from "./blocks.mjs";
import { commentsOf } from "./comments.mjs";
import { comparing } from "./shown.mjs";
import { textsOf } from "./texts.mjs";

const TIMEOUT_MS = 300_000;
/** Inside the workspace, so that `import "fulmar"` finds the built package. */
const compiled = join(root, ".cache", "documentation");

function examples() {
  const directory = join(root, "examples");
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name: `examples/${name}`, path: join(directory, name, "main.mjs") }));
}

function documentation() {
  rmSync(compiled, { recursive: true, force: true });
  mkdirSync(compiled, { recursive: true });
  let count = 0;
  const markdown = (path) => {
    const text = readFileSync(join(root, path), "utf8");
    return path.endsWith(".ts") ? commentsOf(text) : text;
  };
  return textsOf(root, PUBLISHED).flatMap((page) =>
    programsOf(markdown(page)).map(({ code, language, line }) => {
      count += 1;
      const path = join(compiled, `${count}.mjs`);
      writeFileSync(path, compile(comparing(code)));
      const program = { name: `${page}:${line}`, path };
      if (!["ts", "typescript"].includes(language)) return program;
      const source = join(compiled, `${count}.mts`);
      writeFileSync(source, code);
      return { ...program, source };
    }),
  );
}

/** JavaScript of this Node from either language: types away, `await using` spelt out. */
function compile(code) {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}

/** What a strict compiler says against the programs in TypeScript, by source. */
function objections(sources) {
  const { options } = ts.convertCompilerOptionsFromJson(
    {
      target: "es2022",
      lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
      module: "nodenext",
      types: ["node"],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    },
    root,
  );
  const found = new Map();
  for (const diagnostic of ts.getPreEmitDiagnostics(ts.createProgram(sources, options))) {
    const { file, messageText } = diagnostic;
    const source = sources.find((path) => relative(path, file?.fileName ?? "") === "") ?? sources[0];
    const text = ts.flattenDiagnosticMessageText(messageText, "\n");
    found.set(source, `${found.get(source) ?? ""}${text}\n`);
  }
  return found;
}

function run({ name, path, source }) {
  const objection = refused.get(source);
  if (objection !== undefined) {
    console.error(`FAILED  ${name}: does not compile\n${objection}`);
    return false;
  }

  const cwd = mkdtempSync(join(tmpdir(), "fulmar-example-"));
  try {
    const result = spawnSync(process.execPath, [path], { cwd, encoding: "utf8", timeout: TIMEOUT_MS });
    if (result.status === 0) {
      console.log(`ok      ${name}`);
      return true;
    }
    const end =
      result.error?.code === "ETIMEDOUT"
        ? `did not end within ${TIMEOUT_MS / 1000} s`
        : `exit ${result.status}`;
    console.error(`FAILED  ${name}: ${end}\n${result.stdout}${result.stderr}`);
    return false;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

const programs = [...examples(), ...documentation()];
const refused = objections(programs.flatMap(({ source }) => source ?? []));
const failed = programs.filter((program) => !run(program));
console.log(`${programs.length - failed.length} of ${programs.length} programs ran to their end`);
process.exitCode = failed.length === 0 && programs.length > 0 ? 0 : 1;
