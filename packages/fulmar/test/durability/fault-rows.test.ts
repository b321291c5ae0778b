import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { FAULT_ROWS } from "./fault-rows.js";

const TESTS = fileURLToPath(new URL("..", import.meta.url));
/** The ids at the beginning of a title: `"T-WAL-01, T-REC-04: ...`. */
const TITLE = /["`]((?:T-[A-Z]+-\d+, )*T-[A-Z]+-\d+): /g;

function titled(): Set<string> {
  const ids = new Set<string>();
  for (const name of readdirSync(TESTS, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".test.ts") && !name.endsWith("tests.ts")) continue;
    for (const [, list] of readFileSync(join(TESTS, name), "utf8").matchAll(TITLE)) {
      for (const id of (list as string).split(", ")) ids.add(id);
    }
  }
  return ids;
}

test("each fault of storage that another store shipped has a test of its name", () => {
  const ids = titled();
  const missing = FAULT_ROWS.filter(({ id }) => !ids.has(id));
  expect(missing.map(({ id, demand }) => `${id}: ${demand}`)).toEqual([]);
  expect(new Set(FAULT_ROWS.map(({ id }) => id)).size).toBe(FAULT_ROWS.length);
});
