import { describe, expect, it } from "vitest";
import {
  checkErrorCodes,
  checkErrorKinds,
  checkErrorUse,
  checkPublicDocumentation,
} from "../../../../scripts/tidy/documentation.ts";
import { checkLinks } from "../../../../scripts/tidy/links.ts";
import { isLibrary } from "../../../../scripts/tidy/source.ts";
import { ERROR_CATALOGUE } from "../../src/base/errors.js";
import { exists, expectClean, libraryFile, messages, project, projectFile } from "./checks.js";

const CATALOGUE = "packages/fulmar/src/base/errors.ts";
const INDEXES = ["index.ts", "sync/index.ts", "testing/index.ts"].map(
  (path) => `packages/fulmar/src/${path}`,
);
const ADAPTERS = ["abstract-level", "keyv", "unstorage"].map(
  (name) => `packages/adapters/src/${name}/index.ts`,
);
const codes = Object.keys(ERROR_CATALOGUE);
const library = project.filter(({ path }) => isLibrary(path));
const page = (...rows: string[]) => ({ path: "docs/errors/README.md", text: rows.join("\n") });

describe("the page of errors", () => {
  const documented = projectFile("docs/errors/README.md");

  it("lists the catalogue, no more and no less", () => {
    const unpadded = documented.text.replace(/ +\|/g, " |");
    expectClean(checkErrorCodes(documented, codes));
    for (const meaning of Object.values(ERROR_CATALOGUE)) expect(unpadded).toContain(`| ${meaning} |`);
    expect(
      messages(checkErrorCodes(page("| `CLOSED` | FulmarError | x | y |"), ["CLOSED", "LOCKED"])),
    ).toEqual(["LOCKED is in the catalogue but not documented"]);
    expect(checkErrorCodes(page("| `GONE` | FulmarError | x | y |"), [])).toHaveLength(1);
    expect(
      checkErrorCodes(page("| `A` | FulmarError | x |", "| `A` | FulmarError | x |"), ["A"]),
    ).toHaveLength(1);
  });

  it("names the class that the library makes", () => {
    expectClean(checkErrorKinds(documented, library));
    const made = [libraryFile("keys/key.ts", 'throw new FulmarRangeError("INVALID_KEY", "no");')];
    expect(checkErrorKinds(page("| `INVALID_KEY` | TypeError, RangeError | x | y |"), made)).toEqual([]);
    expect(checkErrorKinds(page("| `INVALID_KEY` | TypeError | x | y |"), made)).toHaveLength(1);
  });

  it("promises no error that nothing raises", () => {
    // Other packages of the project may raise codes of the catalogue too.
    const sources = project.filter(({ path }) => path.includes("/src/") && path.endsWith(".ts"));
    expectClean(checkErrorUse(codes, sources, CATALOGUE));
    expect(checkErrorUse(["NEVER"], sources, CATALOGUE)).toHaveLength(1);
  });
});

describe("public items", () => {
  it("have a doc comment", () => {
    expectClean(checkPublicDocumentation(library, INDEXES));
    const adapters = project.filter(({ path }) => path.startsWith("packages/adapters/src/"));
    expectClean(checkPublicDocumentation(adapters, ADAPTERS));
  });

  it("are followed through re-exports to where they are declared", () => {
    const sources = [
      libraryFile(
        "index.ts",
        'export { good, bad } from "./store/items.js";',
        'export type * from "./store/types.js";',
      ),
      libraryFile(
        "store/items.ts",
        "/** Says what it is. */",
        "export const good = 1;",
        "export const bad = 2;",
      ),
      libraryFile("store/types.ts", "export interface Silent {}"),
    ];
    const found = checkPublicDocumentation(sources, ["packages/fulmar/src/index.ts"]);
    expect(found.map(({ path, line }) => `${path}:${line}`)).toEqual([
      "packages/fulmar/src/store/items.ts:3",
      "packages/fulmar/src/store/types.ts:1",
    ]);
  });
});

describe("links", () => {
  it("of every page lead somewhere", () => {
    expectClean(checkLinks(project, exists));
  });

  it("are found broken by file and by heading", () => {
    const pages = [
      {
        path: "docs/a.md",
        text: "# A `b` & c\n[x](../docs/b.md#two-words) [y](c.md) [z](#a-b--c) [w](#nothing)\n",
      },
      {
        path: "docs/b.md",
        text: "## Two words\n```\n[not a link](gone.md)\n```\n`[nor this](gone.md)`\n[out](https://example.org)\n",
      },
    ];
    const there = (path: string): boolean => pages.some((candidate) => candidate.path === path);
    expect(messages(checkLinks(pages, there))).toEqual([
      "links to docs/c.md, which is not there",
      "links to #nothing, which no heading of docs/a.md has",
    ]);
  });
});
