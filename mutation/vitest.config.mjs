// The tests that judge mutants: those of the part named by FULMAR_MUTATION_TESTS, a list of directories.
import base from "../vitest.config.ts";

const directories = (process.env.FULMAR_MUTATION_TESTS ?? "packages/fulmar/test").split(",");

export default {
  ...base,
  root: process.cwd(),
  test: {
    ...base.test,
    // What is changed is the sources; a bundle would not follow.
    globalSetup: [],
    include: directories.map((directory) =>
      directory.endsWith(".ts") ? directory : `${directory}/**/*.test.ts`,
    ),
    exclude: ["**/node_modules/**"],
  },
};
