import { describe, expect, it } from "vitest";
import {
  checkDefaultExports,
  checkFileLength,
  checkFunctionLength,
  checkLineWidth,
  checkMarks,
  checkTopLevelAwait,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  LINE_WIDTH_MAX,
} from "../../../../scripts/tidy/shape.ts";
import { expectClean, libraryFile, project } from "./checks.js";

const repeated = (line: string, count: number): string[] => Array.from({ length: count }, () => line);

describe("shape of the code", () => {
  it("keeps files short", () => {
    expectClean(checkFileLength(project));
    expect(checkFileLength([libraryFile("base/a.ts", ...repeated("// x", FILE_LINES_MAX))])).toEqual([]);
    expect(checkFileLength([libraryFile("base/a.ts", ...repeated("// x", FILE_LINES_MAX + 1))])).toHaveLength(
      1,
    );
  });

  it("keeps functions short", () => {
    expectClean(checkFunctionLength(project));
    const functionOf = (lines: number): string[] => [
      "function long() {",
      ...repeated("  step();", lines - 2),
      "}",
    ];
    const methodOf = (lines: number): string[] => [
      "class C {",
      "  /** Says. */",
      ...functionOf(lines).with(0, "  m() {"),
      "}",
    ];
    expect(checkFunctionLength([libraryFile("base/a.ts", ...functionOf(FUNCTION_LINES_MAX))])).toEqual([]);
    expect(
      checkFunctionLength([libraryFile("base/a.ts", ...functionOf(FUNCTION_LINES_MAX + 1))]),
    ).toHaveLength(1);
    expect(checkFunctionLength([libraryFile("base/a.ts", ...methodOf(FUNCTION_LINES_MAX))])).toEqual([]);
    expect(checkFunctionLength([libraryFile("base/a.ts", ...methodOf(FUNCTION_LINES_MAX + 1))])).toHaveLength(
      1,
    );
  });

  it("keeps lines narrow", () => {
    expectClean(checkLineWidth(project));
    expect(checkLineWidth([libraryFile("base/a.ts", `//${"x".repeat(LINE_WIDTH_MAX - 2)}`)])).toEqual([]);
    expect(checkLineWidth([libraryFile("base/a.ts", `//${"x".repeat(LINE_WIDTH_MAX - 1)}`)])).toHaveLength(1);
  });

  it("leaves no marks of unfinished work", () => {
    expectClean(checkMarks(project));
    expect(checkMarks([libraryFile("base/a.ts", `// ${"TO"}DO: later`)])).toHaveLength(1);
  });

  it("exports by name", () => {
    expectClean(checkDefaultExports(project));
    expect(checkDefaultExports([libraryFile("base/a.ts", "export default 1;")])).toHaveLength(1);
    expect(checkDefaultExports([libraryFile("base/a.ts", "export default function f() {}")])).toHaveLength(1);
  });

  it("never awaits while the library loads", () => {
    expectClean(checkTopLevelAwait(project));
    expect(checkTopLevelAwait([libraryFile("base/a.ts", "const a = await load();")])).toHaveLength(1);
    expect(checkTopLevelAwait([libraryFile("base/a.ts", "for await (const a of b) c(a);")])).toHaveLength(1);
    expect(checkTopLevelAwait([libraryFile("base/a.ts", "const f = async () => await load();")])).toEqual([]);
  });
});
