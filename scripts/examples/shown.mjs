/** Comments behind a `console.log` that say something about what is printed, instead of what it is. */
const PROSE = [
  /^synchronous: /,
  /^also /,
  /^never /,
  // Ids of chance.
  /key-\.\.\./,
];
const SHOWN = /console\.log\((.*; )\/\/ (.*)$/;

/**
 * The same program, which fails when a line that ends in a comment prints something else than the comment shows. What
 * one line prints in several turns is shown with commas between. A line that is not reached is not compared.
 */
export function comparing(code) {
  const lines = code.split("\n").map((line, i) => {
    const [, rest, comment] = SHOWN.exec(line) ?? [];
    if (comment === undefined || PROSE.some((prose) => prose.test(comment))) return line;
    return line.replace(SHOWN, () => `fulmarShown(${i}, ${JSON.stringify(comment)}, ${rest}`);
  });
  return `${lines.join("\n")}${COMPARISON}`;
}

const COMPARISON = `
function fulmarShown(line, comment, ...values) {
  console.log(...values);
  const shown = (globalThis.fulmarLines ??= new Map());
  if (shown.size === 0) process.on("exit", () => fulmarCompare(shown));
  const text = process.getBuiltinModule("node:util").format(...values).replace(/\\s+/g, " ");
  shown.set(line, { comment, texts: [...(shown.get(line)?.texts ?? []), text] });
}
function fulmarCompare(shown) {
  for (const [line, { comment, texts }] of shown) {
    if (texts.join(", ") === comment) continue;
    console.error("line " + (line + 1) + " of the program prints " + texts.join(", ") + ", not " + comment);
    process.exitCode = 1;
  }
}
`;
