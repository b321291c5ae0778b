// Runs every vitest project of the workspace and writes what happened, as JSON, to the file given as
// the first argument: counts, and the full name and reason of each skipped test.
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { startVitest } from "vitest/node";

const [outputPath, ...filters] = process.argv.slice(2);

/** @param {import("vitest/node").TestModule} module */
function countModule(module, counts) {
  for (const test of module.children.allTests()) {
    const { state, note } = test.result();
    if (state === "passed") counts.passed += 1;
    else if (state === "failed") counts.failed += 1;
    else
      counts.skipped.push({
        name: `${module.relativeModuleId} > ${test.fullName}`,
        reason: reasonOf(test, note),
      });
  }
  // A file that cannot be loaded, or whose hooks fail, has no failing test and must count all the same.
  if (module.errors().length > 0) counts.failed += 1;
}

function reasonOf(test, note) {
  if (note !== undefined) return note;
  return test.options.mode === "todo" ? "marked as to be written" : "marked as skipped, no reason given";
}

class Collector {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: [] };
    for (const module of modules) countModule(module, counts);
    writeFileSync(outputPath, JSON.stringify(counts));
  }
}

const vitest = await startVitest("test", filters, {
  watch: false,
  // Many tests wait for a disk or a child process: one worker fewer than cores would leave a core idle.
  maxWorkers: availableParallelism(),
  reporters: [["default", { summary: false }], new Collector()],
});
await vitest.close();
