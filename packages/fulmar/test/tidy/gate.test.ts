import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it, test } from "vitest";
import { programsOf } from "../../../../scripts/examples/blocks.mjs";
import { commentsOf } from "../../../../scripts/examples/comments.mjs";
import { comparing } from "../../../../scripts/examples/shown.mjs";
import { textsOf } from "../../../../scripts/examples/texts.mjs";
import { checkContents } from "../../../../scripts/package/contents.mjs";
import { PUBLISHED, root } from "../../../../scripts/package/pack.mjs";
import { staleInstallation, unlockedDependency } from "../../../../scripts/test/install.mjs";
import { summarize } from "../../../../scripts/test/summary.mjs";
import { project } from "./checks.js";

const made: string[] = [];

afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A project with these files, whose contents are written as JSON. */
function projectWith(files: Readonly<Record<string, object>>): string {
  const root = mkdtempSync(join(tmpdir(), "fulmar-gate-"));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), JSON.stringify(content));
  }
  return root;
}

test.each(["scripts/test.mjs", "scripts/matrix.mjs", "mutation/run.mjs"])(
  "%s says which options there are when it is called with another one",
  (path) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, path), "--foo"], {
      encoding: "utf8",
    });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^Unknown option '--foo'; options: --/),
    ]);
  },
);

describe("what a line of an example is said to print", () => {
  it.each([
    ["console.log(1, { a: [2] }); // 1 { a: [ 2 ] }", 0, ""],
    ["for (const n of [1, 2]) console.log(n); // 1, 2", 0, ""],
    ["if (false) console.log(1); // 2", 0, ""],
    ["console.log(1); // never one without the other", 0, ""],
    ["console.log(1);\nconsole.log(20, 30); // 20 31", 1, "line 2 of the program prints 20 30, not 20 31\n"],
    ["for (const n of [1, 2]) console.log(n); // 1", 1, "line 1 of the program prints 1, 2, not 1\n"],
  ])("is compared: %s", (code, exit, told) => {
    const run = ["--input-type=module", "--eval", comparing(code)];
    const { status, stderr } = spawnSync(process.execPath, run, { encoding: "utf8" });
    expect([status, stderr]).toEqual([exit, told]);
  });
});

describe("the installation", () => {
  const lock = {
    packages: {
      "": {},
      "packages/a": { version: "1.0.0" },
      "node_modules/b": { version: "2.0.0" },
      "node_modules/for-others": { version: "3.0.0", optional: true },
    },
  };
  const manifest = { "node_modules/b/package.json": {} };

  it("is fresh when what the lock names is there", () => {
    const installed = { packages: { "node_modules/b": { version: "2.0.0" } } };
    const root = projectWith({
      ...manifest,
      "package-lock.json": lock,
      "node_modules/.package-lock.json": installed,
    });
    expect(staleInstallation(root)).toBeUndefined();
  });

  it("is stale when a package is missing, removed, or of another version", () => {
    const other = { packages: { "node_modules/b": { version: "2.0.1" } } };
    const stale = (files: Readonly<Record<string, object>>): string | undefined =>
      staleInstallation(projectWith({ "package-lock.json": lock, ...files }));
    expect(stale({})).toBe("nothing is installed yet");
    expect(stale({ "node_modules/.package-lock.json": { packages: {} } })).toBe("node_modules/b is missing");
    expect(stale({ ...manifest, "node_modules/.package-lock.json": other })).toBe(
      "node_modules/b is 2.0.1, not 2.0.0",
    );
    const gone = { packages: { "node_modules/b": { version: "2.0.0" } } };
    expect(stale({ "node_modules/.package-lock.json": gone })).toBe("node_modules/b has been removed");
  });
});

describe("the lock", () => {
  const workspace = (version: string) =>
    projectWith({
      "package.json": { workspaces: ["a"], devDependencies: { tool: "1.0.0" } },
      "a/package.json": { dependencies: { b: version } },
      "package-lock.json": {
        packages: { "": { devDependencies: { tool: "1.0.0" } }, a: { dependencies: { b: "2.0.0" } } },
      },
    });

  it("agrees with what the packages ask for", () => {
    expect(unlockedDependency(workspace("2.0.0"))).toBeUndefined();
    expect(unlockedDependency(workspace("2.0.1"))).toBe("a/package.json asks for b 2.0.1");
    expect(unlockedDependency(new URL("../../../../", import.meta.url).pathname)).toBeUndefined();
  });
});

describe("the summary", () => {
  it("names what was skipped and why, and ends with the totals", () => {
    const text = summarize([
      { name: "build", durationMs: 1234, passed: 1, failed: 0, skipped: [] },
      {
        name: "vitest",
        durationMs: 60_000,
        passed: 7,
        failed: 2,
        skipped: [{ name: "a > b", reason: "no browser" }],
      },
    ]);
    expect(text.split("\n")).toEqual([
      "step    result  time    passed",
      "build   ok      1.2 s   1/1",
      "vitest  FAILED  60.0 s  7/9",
      "",
      "skipped:",
      "  a > b: no browser",
      "",
      "8 passed, 2 failed, 1 skipped",
    ]);
  });
});

describe("programs in the documentation", () => {
  it("are the blocks that import from fulmar", () => {
    const page = [
      "```ts",
      'import { open } from "fulmar";',
      "await open();",
      "```",
      "```js",
      "db.get(1);",
      "```",
      "```sh",
      'import { open } from "fulmar";',
      "```",
      "```js",
      'import { replicate } from "fulmar/sync";',
      "```",
      "```ts",
      'import { FulmarLevel } from "@fulmar/adapters/abstract-level";',
      "```",
      "```ts",
      'import { Keyv } from "keyv";',
      "```",
      "```ts some words",
      "import {",
      "  open,",
      '} from "fulmar";',
      "```",
    ];
    expect(programsOf(page.join("\n")).map(({ line, code }) => [line, code])).toEqual([
      [1, 'import { open } from "fulmar";\nawait open();\n'],
      [11, 'import { replicate } from "fulmar/sync";\n'],
      [14, 'import { FulmarLevel } from "@fulmar/adapters/abstract-level";\n'],
      [20, 'import {\n  open,\n} from "fulmar";\n'],
    ]);
  });

  it("are sought in every page and source of the project", () => {
    const pages = project.filter(({ path }) => path.endsWith(".md"));
    const sources = project.filter(({ path }) => /^packages\/[\w-]+\/src\/.*\.ts$/.test(path));
    const texts = [...pages, ...sources].map(({ path }) => path);
    expect(textsOf(root, PUBLISHED).sort()).toEqual(texts.sort());
    expect(texts).toEqual(expect.arrayContaining(["docs/watch.md", "docs/errors/README.md", "README.md"]));
  });

  it("are not sought in what others wrote, or in what is built", () => {
    const root = projectWith({
      "b.md": {},
      "docs/deep/a.md": {},
      "docs/a.txt": {},
      "node_modules/n/README.md": {},
      ".cache/c.md": {},
      "lib/src/part/a.ts": {},
      "lib/src/a.mjs": {},
      "lib/dist/a.md": {},
      "lib/test/a.ts": {},
    });
    expect(textsOf(root, ["lib"])).toEqual(["b.md", "docs/deep/a.md", "lib/src/part/a.ts"]);
  });

  it("are found in doc comments, too, at the line where they are", () => {
    const source = [
      "/** One line. */",
      "/**",
      " * Says something.",
      " *",
      " * ```ts",
      ' * import { open } from "fulmar";',
      " *",
      " * await open();",
      " * ```",
      " */",
      "export const text = `",
      " * ```ts",
      ' * import { open } from "fulmar";',
      " * ```",
      "`;",
    ];
    expect(programsOf(commentsOf(source.join("\n")))).toEqual([
      {
        language: "ts",
        line: 5,
        lines: expect.anything(),
        code: 'import { open } from "fulmar";\n\nawait open();\n',
      },
    ]);
  });
});

describe("a packed package", () => {
  const good = ["package.json", "README.md", "LICENSE", "dist/index.js"];

  it("holds its pages and what was built, and nothing else", () => {
    expect(checkContents("a", good)).toEqual([]);
    for (const missing of good)
      expect(
        checkContents(
          "a",
          good.filter((path) => path !== missing),
        ),
        missing,
      ).not.toEqual([]);
    for (const surplus of [
      "test/a.ts",
      "dist/.tsbuildinfo",
      "dist/bundle/.fingerprint",
      "src/index.ts",
      "dist/a.test.js",
    ]) {
      expect(checkContents("a", [...good, surplus]), surplus).not.toEqual([]);
    }
  });
});
