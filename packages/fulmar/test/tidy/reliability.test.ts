import { describe, expect, it } from "vitest";
import { checkFaults, testsOfFaults } from "../../../../scripts/tidy/reliability.ts";
import { expectClean, messages, project, projectFile } from "./checks.js";

const page = (...rows: string[]) => ({ path: "docs/reliability.md", text: rows.join("\n") });
const testFile = (name: string, ...lines: string[]) => ({
  path: `packages/a/test/${name}.test.ts`,
  text: lines.join("\n"),
});
const LINK = "[x](../packages/a/test/x.test.ts)";

describe("the page of faults", () => {
  it("has a row for each id that a title begins with, each row its tests, and names them all", () => {
    const faults = projectFile("docs/reliability.md");
    expectClean(checkFaults(faults, project));
    expect(testsOfFaults(project).size).toBeGreaterThan(80);
  });

  it("is found to lack a row, a test, or a file of one", () => {
    const one = testFile("x", 'test("T-WAL-01: tears", () => {});');
    expect(checkFaults(page(`| T-WAL-01 | a tear | ${LINK} |`), [one])).toEqual([]);
    expect(messages(checkFaults(page(), [one]))).toEqual(["T-WAL-01 has no row in docs/reliability.md"]);
    expect(messages(checkFaults(page(`| T-WAL-02 | a cut | ${LINK} |`), []))).toEqual([
      "T-WAL-02: no test has it",
    ]);
    const more = [one, testFile("y", "it.each([1])(", '  "T-WAL-01: again %i",', "  () => {});")];
    expect(messages(checkFaults(page(`| T-WAL-01 | a tear | ${LINK} |`), more))).toEqual([
      `T-WAL-01: its tests are ${LINK} [y](../packages/a/test/y.test.ts)`,
    ]);
    const twice = page(`| T-WAL-01 | a tear | ${LINK} |`, `| T-WAL-01 | a tear | ${LINK} |`);
    expect(messages(checkFaults(twice, [one]))).toEqual(["T-WAL-01 has a row already"]);
    expect(messages(checkFaults(page("| T-WAL-01 | a tear |"), []))).toEqual([
      "is no row of id, fault and tests",
    ]);
  });

  it("knows titles of several ids, in templates and in tables, and no other place", () => {
    const known = testFile(
      "x",
      "test(`T-FUZZ-01, T-SEC-PATH: up to \u0024{2} inputs`, () => {});",
      'test.each([["T-TTL-01", 1], ["T-TTL-02", 2]])("%s: a deadline", () => {});',
    );
    expect([...testsOfFaults([known]).keys()]).toEqual(["T-FUZZ-01", "T-SEC-PATH", "T-TTL-01", "T-TTL-02"]);
    const elsewhere = testFile(
      "x",
      'test("tears, as T-WAL-01", () => {});',
      'it("T-ID-04 kills", () => {});',
    );
    expect(messages(checkFaults(page(), [elsewhere]))).toEqual([
      "T-WAL-01 does not begin a title, with a colon behind it",
      "T-ID-04 does not begin a title, with a colon behind it",
    ]);
    const outside = { path: "packages/a/src/x.ts", text: '"T-WAL-01: no test"' };
    expect(checkFaults(page(), [outside])).toEqual([]);
  });
});
