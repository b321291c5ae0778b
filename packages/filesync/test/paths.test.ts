import { posix, win32 } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PathFault, parentPath, pathFault } from "../src/paths.js";

const HOSTILE: readonly [path: string, fault: PathFault][] = [
  ["", "empty"],
  ["/", "segment"],
  ["/etc/passwd", "segment"],
  ["//host/share", "segment"],
  ["a/", "segment"],
  ["a//b", "segment"],
  [".", "segment"],
  ["..", "segment"],
  ["../a", "segment"],
  ["a/../../b", "segment"],
  ["a/./b", "segment"],
  ["a/..", "segment"],
  ["..\\a", "separator"],
  ["a\\..\\..\\b", "separator"],
  ["\\\\host\\share", "separator"],
  ["a\0b", "control"],
  ["a\nb", "control"],
  ["a\u007f", "control"],
  ["a\u0085b", "control"],
  ["C:", "drive"],
  ["C:/windows", "drive"],
  ["c:x", "drive"],
  [".fulmar", "reserved"],
  [".fulmar/identity", "reserved"],
  ["a/.fulmar/b", "reserved"],
  [".FULMAR", "reserved"],
  [".ful\u200cmar", "reserved"],
  ["a\ud800", "encoding"],
  ["a\ufffd", "encoding"],
  ["x".repeat(256), "too-long"],
  [`${"ü".repeat(128)}`, "too-long"],
  [Array.from({ length: 1501 }, () => "a").join("/"), "too-long"],
  [`${"a/".repeat(100)}a`, "too-deep"],
];

describe("SEC: key -> path", () => {
  test.each(HOSTILE)("T-SEC-PATH: refuses %j", (path, fault) => {
    expect(pathFault(path, "linux")).toBe(fault);
    expect(pathFault(path, "win32")).toBeDefined();
  });

  test.each(["CON", "nul", "a/Lpt1.txt", "com¹", "a.", "a ", "b/c.", "a<b", "a/b:c", "what?", "FULMAR~1"])(
    "T-SEC-PATH: refuses %j on Windows only",
    (path) => {
      expect(pathFault(path, "win32")).toBeDefined();
      expect(pathFault(path, "linux")).toBe(undefined);
    },
  );

  test.each([
    "a",
    "a/b/c",
    ".hidden",
    "..a",
    "a..",
    "...",
    "naïve/日本語/🐦",
    "with space",
    "fulmar",
    ".fulmarx",
  ])("admits %j", (path) => expect(pathFault(path, "linux")).toBe(undefined));

  test("the limits themselves are admitted", () => {
    expect(pathFault("x".repeat(255), "linux")).toBe(undefined);
    expect(pathFault(`${"a/".repeat(99)}a`, "linux")).toBe(undefined);
    const longest = `${Array.from({ length: 99 }, () => "a".repeat(29)).join("/")}/${"b".repeat(29)}`;
    expect(longest.length).toBe(3000 - 1);
    expect(pathFault(`${longest}b`, "linux")).toBe(undefined);
    expect(pathFault(`${longest}bb`, "linux")).toBe("too-long");
  });

  test("T-SEC-PATH: whatever is admitted stays below the root, on both kinds of system", () => {
    const piece = fc.oneof(
      fc.constantFrom("..", ".", "", "/", "\\", "C:", "a", "\0", " ", "~", ".fulmar", "\u2024\u2024"),
      fc.string({ unit: "binary", maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.constantFrom("", "/", "\\"), (pieces, glue) => {
        const path = pieces.join(glue);
        if (pathFault(path, "linux") === undefined) {
          expect(posix.resolve("/root", path)).toBe(`/root/${path}`);
        }
        if (pathFault(path, "win32") === undefined) {
          expect(win32.resolve("D:\\root", path)).toBe(`D:\\root\\${path.replaceAll("/", "\\")}`);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test("the parent of a path", () => {
  expect(parentPath("a/b/c")).toBe("a/b");
  expect(parentPath("a")).toBe("");
});
