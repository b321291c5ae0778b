import fc from "fast-check";
import { describe, it } from "vitest";
import type { EngineOptions, MemoryEngine } from "../../src/memory/engine.js";
import { type Command, commandSequences, KEPT_SEQUENCES, KEYS, keyTables } from "./engine-commands.js";
import { EngineRun } from "./engine-run.js";
import { quickHash } from "./fixtures.js";

/** What an engine shows, after every step of random sequences. */
export function engineModelSuite(name: string, create: (options: EngineOptions) => MemoryEngine): void {
  describe(`${name}: against the model`, () => {
    const runs = (isAlone: boolean) =>
      fc.property(commandSequences, keyTables, (commands, keys) => {
        const run = new EngineRun(create({ hash: quickHash }), isAlone, keys);
        for (const command of commands) run.run(command);
        run.finish();
      });
    const examples = KEPT_SEQUENCES.map((commands): [Command[], readonly Uint8Array[]] => [commands, KEYS]);

    it("shows what the model shows after every step of any sequence", () => {
      fc.assert(runs(false), { numRuns: 100, examples });
    });

    it("shows it when nothing is asked for that only replication needs", () => {
      fc.assert(runs(true), { numRuns: 100, examples });
    });
  });
}
