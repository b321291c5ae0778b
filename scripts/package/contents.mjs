const REQUIRED = ["package.json", "README.md", "LICENSE"];
const FORBIDDEN = [
  [/(^|\/)(test|tests|fixtures)\//, "is a test"],
  [/\.test\.[a-z]+$/, "is a test"],
  [/\.tsbuildinfo$/, "is the compiler's own"],
  [/(^|\/)node_modules\//, "is another package"],
  [/^src\//, "is a source, which the source maps hold already"],
  [/\.fingerprint$/, "is the build's own"],
];

/** What is wrong with the files of a packed package, in sentences. */
export function checkContents(name, files) {
  const missing = REQUIRED.filter((path) => !files.includes(path)).map((path) => `${name} lacks ${path}`);
  const surplus = files.flatMap((path) =>
    FORBIDDEN.filter(([pattern]) => pattern.test(path)).map(
      ([, what]) => `${name} holds ${path}, which ${what}`,
    ),
  );
  const built = files.some((path) => /^dist\/.*\.js$/.test(path))
    ? []
    : [`${name} holds no built code: run npm run build`];
  return [...missing, ...surplus, ...built];
}
