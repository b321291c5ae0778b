// What `npm run mutation` runs Stryker with; run.mjs sets the files and the tests.
export default {
  plugins: ["@stryker-mutator/vitest-runner"],
  testRunner: "vitest",
  vitest: { configFile: "mutation/vitest.config.mjs", related: false },
  coverageAnalysis: "perTest",
  ignoreStatic: true,
  concurrency: Number(process.env.FULMAR_MUTATION_WORKERS ?? 2),
  mutate: (process.env.FULMAR_MUTATION_FILES ?? "").split(","),
  // Texts are for people, and their wording is guarded by no test on purpose.
  mutator: { excludedMutations: ["StringLiteral"] },
  reporters: ["json", "progress-append-only"],
  jsonReporter: { fileName: ".cache/mutation-report.json" },
  ignorePatterns: ["dist", "*.tsbuildinfo", "/.git"],
  // Long enough that a machine under load is not taken for a loop without an end.
  timeoutMS: 30_000,
  timeoutFactor: 3,
  disableTypeChecks: false,
  allowEmpty: false,
  tempDirName: ".cache/mutation",
};
