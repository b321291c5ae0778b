const DURABILITY = "packages/fulmar/src/durability";
const STORE = "packages/fulmar/src/store";
const TESTS = "packages/fulmar/test";

const durable = (...names) => names.map((name) => `${DURABILITY}/${name}.ts`);

/** The tests of single parts notice most changes within milliseconds, those of the whole see to the rest. */
const UNIT_FIRST = [`${TESTS}/durability/unit`, `${TESTS}/durability`];

/** What can be mutated by name: files of the library, and the tests that guard them. */
export const PARTS = {
  log: {
    files: durable(
      "log-writer",
      "log-writer-parts",
      "log-sync",
      "log-steps",
      "log-errors",
      "log-rotation",
      "log-segments",
      "loss-window",
      "presence",
      "zero-fill",
      "group-buffer",
      "segment-format",
      "segment-pool",
      "turn-guard",
    ),
    tests: UNIT_FIRST,
  },
  checkpoint: {
    files: durable(
      "checkpoint-blocks",
      "checkpoint-format",
      "checkpoint-reader",
      "checkpoint-run",
      "checkpoint-writer",
      "packing",
    ),
    tests: UNIT_FIRST,
  },
  encryption: {
    files: durable("file-seal", "key-section", "keyring"),
    tests: [...UNIT_FIRST, `${TESTS}/store/encryption`],
  },
  recovery: {
    files: durable(
      "recovery",
      "replay",
      "finish-load",
      "log-scan",
      "log-securing",
      "segment-reader",
      "segment-remainder",
      "chunk-reader",
      "manifest",
      "manifest-renewal",
      "orphans",
    ),
    tests: UNIT_FIRST,
  },
  directory: {
    files: durable("data-directory", "first-open", "made-directories", "new-store", "files"),
    tests: UNIT_FIRST,
  },
  care: {
    files: durable(
      "checkpoint-cover",
      "salvage",
      "salvage-checkpoint",
      "salvage-order",
      "salvage-segment",
      "salvage-sink",
      "salvage-versions",
      "repair",
      "check-prepared",
      "restore",
      "verify",
      "verify-backup",
      "verify-history",
      "lock-for-reading",
      "backup-reader",
      "backup-writer",
      "upgrade",
    ),
    tests: [...UNIT_FIRST, `${TESTS}/store/encryption`],
  },
  history: {
    files: durable("history", "history-cursor"),
    tests: UNIT_FIRST,
  },
  transaction: {
    files: [
      ...["contender", "ending", "lines", "transact", "transaction-state", "transaction-walk"].map(
        (name) => `${STORE}/${name}.ts`,
      ),
      "packages/fulmar/src/transaction/optimistic/*.ts",
    ],
    tests: [
      `${TESTS}/store/lines.test.ts`,
      `${TESTS}/store/transact*.test.ts`,
      `${TESTS}/transaction/optimistic`,
    ],
  },
  commit: {
    files: ["packages/fulmar/src/transaction/*.ts", "packages/fulmar/src/record/*.ts"],
    tests: [`${TESTS}/transaction`, `${TESTS}/record`],
  },
  codec: {
    files: ["packages/fulmar/src/codec/codec.ts"],
    tests: [`${TESTS}/codec`],
  },
  watch: {
    files: [`${STORE}/watch/*.ts`],
    tests: [`${TESTS}/store/watch`],
  },
  memory: {
    files: ["packages/fulmar/src/memory/offheap/*.ts"],
    tests: [`${TESTS}/memory/offheap`],
  },
};
