const NOTICED = ["Killed", "Timeout"];
const UNNOTICED = ["Survived", "NoCoverage"];

/** Prints scores and survivors of one run; returns how many survivors nobody has explained. */
export function report(name, { files }, known) {
  let unknown = 0;
  let noticed = 0;
  let all = 0;
  console.log(`\n${name}`);
  for (const [path, { mutants, source }] of Object.entries(files)) {
    const killed = mutants.filter(({ status }) => NOTICED.includes(status)).length;
    const survivors = mutants.filter(({ status }) => UNNOTICED.includes(status));
    noticed += killed;
    all += killed + survivors.length;
    console.log(`${score(killed, killed + survivors.length)}  ${path}`);
    const lines = source.split("\n");
    for (const mutant of survivors) {
      const { line } = mutant.location.start;
      const change = describe(mutant, lines);
      const reason = known[path]?.[change];
      if (reason === undefined) unknown++;
      console.log(`    ${line}: ${change}${reason === undefined ? "" : `\n        known: ${reason}`}`);
    }
  }
  console.log(
    `${score(noticed, all)}  ${name}: ${noticed} of ${all} changes noticed, ${unknown} unexplained`,
  );
  return unknown;
}

function score(noticed, all) {
  return `${(all === 0 ? 100 : (100 * noticed) / all).toFixed(1).padStart(5)} %`;
}

/** The text that was replaced, in its line, and by what: stays the same when lines move. */
function describe({ location, replacement, mutatorName }, lines) {
  const { start, end } = location;
  const line = lines[start.line - 1];
  const until = end.line === start.line ? end.column - 1 : line.length;
  const replaced = line.slice(start.column - 1, until).trim();
  const by = mutatorName === "BlockStatement" ? "{}" : replacement.replace(/\s+/g, " ");
  return `${replaced} -> ${by} in ${line.trim()}`;
}
