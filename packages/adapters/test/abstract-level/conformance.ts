import { createRequire } from "node:module";
import type { FulmarLevel } from "../../src/abstract-level/index.js";

const require = createRequire(import.meta.url);

/** A result of tape: of one assertion, or the beginning or end of a test. */
interface Row {
  readonly type: "test" | "assert" | "end";
  readonly name?: string;
  readonly ok?: boolean;
  readonly skip?: unknown;
  readonly expected?: unknown;
  readonly actual?: unknown;
}

interface Harness {
  (name: string, body: (t: unknown) => unknown): void;
  createStream(options: { objectMode: true }): NodeJS.EventEmitter;
}

/** What came of a run of Level's own tests. */
export interface Verdict {
  readonly passed: number;
  readonly skipped: number;
  readonly tests: number;
  readonly failures: readonly string[];
}

/** One of the tests leaves databases that refuse to be closed for ever; the stores beneath do not. */
async function closeDatabase(database: FulmarLevel): Promise<void> {
  try {
    await database.close();
  } catch {
    await database.store.close();
  }
}

/** Runs the whole of Level's own tests, which run on tape, on databases that `factory` makes. */
export function runConformance(factory: (options?: object) => FulmarLevel): Promise<Verdict> {
  const tape = require("tape") as { createHarness(): Harness };
  const suite = require("abstract-level/test") as (options: object) => void;
  const harness = tape.createHarness();
  const results = harness.createStream({ objectMode: true });
  const made: FulmarLevel[] = [];
  suite({
    test: harness,
    factory: (options?: object) => {
      const database = factory(options);
      made.push(database);
      return database;
    },
  });
  let test = "";
  let [passed, skipped, tests] = [0, 0, 0];
  const failures: string[] = [];
  return new Promise((resolve, reject) => {
    results.on("data", (row: Row) => {
      if (row.type === "test") {
        test = row.name ?? "";
        tests += 1;
      } else if (row.type === "assert" && row.skip) skipped += 1;
      else if (row.type === "assert" && row.ok === true) passed += 1;
      else if (row.type === "assert") {
        failures.push(`${test}: ${row.name} (${String(row.actual)} instead of ${String(row.expected)})`);
      }
    });
    results.on("end", () => {
      // Half of the tests run on sublevels, and closing one leaves the database beneath as it is.
      const closed = Promise.all(made.map(closeDatabase));
      closed.then(() => resolve({ passed, skipped, tests, failures }), reject);
    });
  });
}
