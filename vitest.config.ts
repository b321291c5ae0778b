import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`./packages/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // Tests run on the sources, so that a failure points at the line to mend and no build is needed first.
    alias: [
      { find: /^fulmar$/, replacement: source("fulmar/src/index.ts") },
      { find: /^fulmar\/(sync|testing)$/, replacement: source("fulmar/src/$1/index.ts") },
      {
        find: /^@fulmar\/adapters\/(abstract-level|keyv|unstorage)$/,
        replacement: source("adapters/src/$1/index.ts"),
      },
      { find: /^@fulmar\/filesync$/, replacement: source("filesync/src/index.ts") },
    ],
  },
  test: {
    // Tests of other processes and threads run what users get.
    globalSetup: ["scripts/test/bundles.mjs"],
    include: ["{packages/*,simulator,bench}/test/**/*.test.ts"],
    // Long enough for a machine that does other things too: it ends what hangs, and judges no speed.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
