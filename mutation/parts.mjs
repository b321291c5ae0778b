const DURABILITY = "packages/fulmar/src/durability";
const TESTS = "packages/fulmar/test";

const durable = (...names) => names.map((name) => `${DURABILITY}/${name}.ts`);

/** What can be mutated by name: files of the library, and the tests that guard them. */
export const PARTS = {
  log: {
    files: durable(
      "log-writer",
      "log-segments",
      "group-buffer",
      "segment-format",
      "segment-pool",
      "turn-guard",
    ),
    tests: [`${TESTS}/durability`],
  },
  checkpoint: {
    files: durable("checkpoint-format", "checkpoint-reader", "checkpoint-run", "checkpoint-writer"),
    tests: [`${TESTS}/durability`],
  },
  recovery: {
    files: durable("recovery", "replay", "log-scan", "segment-reader", "chunk-reader", "manifest", "orphans"),
    tests: [`${TESTS}/durability`],
  },
};
