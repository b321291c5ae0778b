import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FulmarLevel } from "../../src/abstract-level/index.js";
import { runConformance } from "./conformance.js";

/** What Level's own database in memory is asked; whatever can do more is asked more. */
const ASSERTIONS_MIN = 5120;

describe("the tests of abstract-level", () => {
  let parent: string;

  beforeAll(() => {
    parent = mkdtempSync(join(tmpdir(), "fulmar-level-"));
  });

  afterAll(() => {
    rmSync(parent, { recursive: true, force: true });
  });

  it("pass, all of them, with nothing disclaimed", { timeout: 900_000 }, async () => {
    const directory = () => mkdtempSync(join(parent, "store-"));
    // Hundreds of databases are open at a time.
    const store = { segmentBytes: 65_536, durability: "relaxed" } as const;
    const verdict = await runConformance((options) => new FulmarLevel(directory(), { ...options, store }));
    expect(verdict.failures).toEqual([]);
    expect(verdict.skipped).toBe(0);
    expect(verdict.passed).toBeGreaterThanOrEqual(ASSERTIONS_MIN);
  });
});
