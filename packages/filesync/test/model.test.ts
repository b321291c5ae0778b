import { expect, test } from "vitest";
import { decodeMeta, encodeMeta, type FileMeta } from "../src/model.js";

const META: FileMeta = {
  kind: "file",
  size: 600_000,
  mode: 0o644,
  mtimeMs: 1_700_000_000_000,
  writeId: "0123456789abcdef-0123456789abcdef01234567",
  replaces: ["0123456789abcdef-fedcba9876543210fedcba98"],
  chunks: 3,
  chunkBytes: 262_144,
  sha256: "a".repeat(64),
};

test("metadata survives encoding", () => {
  expect(decodeMeta(encodeMeta(META))).toEqual(META);
});

test.each<[string, object]>([
  ["another kind", { kind: "symlink" }],
  ["a set-user-id bit", { mode: 0o4755 }],
  ["a negative size", { size: -1 }],
  ["more chunks than its size needs", { chunks: 4 }],
  ["no chunk size", { chunkBytes: 0 }],
  ["an endless number of chunks", { size: 2 ** 40, chunkBytes: 1, chunks: 2 ** 40 }],
  ["a write id that could be a path", { writeId: "../../x" }],
  ["no list of replaced writes", { replaces: "x" }],
  ["too many replaced writes", { replaces: Array.from({ length: 9 }, () => META.writeId) }],
  ["a short hash", { sha256: "ab" }],
  ["a directory with content", { kind: "directory" }],
  ["a time that is no number", { mtimeMs: "now" }],
])("T-SEC-PATH: metadata with %s is refused", (_name, change) => {
  expect(decodeMeta(encodeMeta({ ...META, ...change } as FileMeta))).toBe(undefined);
});

test("bytes that are no metadata are refused", () => {
  expect(decodeMeta(undefined)).toBe(undefined);
  expect(decodeMeta(new Uint8Array())).toBe(undefined);
  expect(decodeMeta(new Uint8Array([0xff, 0xfe]))).toBe(undefined);
  expect(decodeMeta(new TextEncoder().encode("null"))).toBe(undefined);
  expect(decodeMeta(new TextEncoder().encode(`"${"x".repeat(20_000)}"`))).toBe(undefined);
});
