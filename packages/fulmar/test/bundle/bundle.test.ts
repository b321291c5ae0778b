import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { BUNDLES, fingerprintOf } from "../../../../scripts/build/bundles.mjs";
import * as library from "../../src/index.js";
import * as sync from "../../src/sync/index.js";
import * as testing from "../../src/testing/index.js";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));
const OUTPUT = `${PACKAGE}/dist/bundle`;

interface Failure {
  readonly code: string;
  readonly imported: boolean;
  readonly required: boolean;
  readonly stack: string;
}

interface Found {
  readonly failures: Readonly<Record<"library" | "sync" | "testing" | "requiredSync", Failure>>;
  readonly exported: Readonly<Record<"library" | "sync" | "testing", readonly string[]>>;
  readonly functions: readonly (readonly [exported: string, own: string])[];
}

/** What a process of its own finds that loads the package by its name. */
async function look(...nodeOptions: string[]): Promise<Found> {
  const script = fileURLToPath(new URL("./look.mjs", import.meta.url));
  const child = fork(script, { execArgv: ["--disable-warning=ExperimentalWarning", ...nodeOptions] });
  const exited = once(child, "exit");
  const found = await Promise.race([once(child, "message"), exited.then(() => undefined)]);
  await exited;
  if (found === undefined) throw new Error("the process ended without a word");
  return found[0] as Found;
}

describe("the bundle that users get", () => {
  let found: Found;
  beforeAll(async () => {
    found = await look();
  });

  it("exports what the sources export", () => {
    expect(found.exported).toEqual({
      library: Object.keys(library).sort(),
      sync: Object.keys(sync).sort(),
      testing: Object.keys(testing).sort(),
    });
  });

  it("calls functions and classes what they are exported as", () => {
    expect(found.functions.length).toBeGreaterThan(20);
    expect(found.functions.filter(([exported, own]) => exported !== own)).toEqual([]);
  });

  it("has one class of failures, whichever entry throws and however it is loaded", () => {
    const codes = Object.values(found.failures).map(({ code, imported, required }) => [
      code,
      imported,
      required,
    ]);
    expect(codes).toEqual([
      ["CLOSED", true, true],
      ["CLOSED", true, true],
      ["INVARIANT", true, true],
      ["CLOSED", true, true],
    ]);
  });

  it("has maps that lead from a stack to the sources", async () => {
    const { failures } = await look("--enable-source-maps");
    expect(failures.library.stack).toMatch(/src\/store\/[\w-]+\.ts:\d+/);
    expect(failures.sync.stack).toMatch(/src\/sync\/replicator\.ts:\d+/);
    expect(found.failures.sync.stack).toMatch(/StoreReplicator\.start .*bundle\/sync\.js:\d+/);
  });

  it("is few files, which import each other and Node and nothing else", () => {
    const files = readdirSync(OUTPUT).filter((name) => name.endsWith(".js"));
    expect(files.sort()).toEqual(["index.js", "shared.js", "sync.js", "testing.js"]);
    for (const name of files) {
      for (const specifier of importsOf(`${OUTPUT}/${name}`)) {
        const known = isBuiltin(specifier) || files.includes(specifier.replace("./", ""));
        expect(known, `${name} imports ${specifier}`).toBe(true);
      }
    }
  });

  it("was made from these sources", () => {
    for (const bundle of BUNDLES) {
      const made = `${PACKAGE}/../../${bundle.directory}/dist/bundle/.fingerprint`;
      expect(existsSync(made) && readFileSync(made, "utf8")).toBe(fingerprintOf(bundle));
    }
  });
});

function importsOf(path: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(path, "utf8"));
  return importedFiles.map(({ fileName }) => fileName);
}
