/** Reads what the command lines of the benchmarks say. */

/** The command line is wrong: whoever wrote it wants to know what is right, not where it was found out. */
class UsageError extends Error {}

/** Runs a benchmark. `--help` says how it is called instead, and so it does when the command line is wrong. */
export async function runProgram(usage: string, main: () => Promise<void> | void): Promise<void> {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) {
    console.log(usage);
    return;
  }
  try {
    await main();
  } catch (error) {
    const isMisuse = error instanceof UsageError || isRefusedByParser(error);
    console.error(isMisuse ? `${error.message}\n\n${usage}` : error);
    process.exitCode = isMisuse ? 2 : 1;
  }
}

function isRefusedByParser(error: unknown): error is Error {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");
}

export function positiveInteger(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new UsageError(`${name} is a whole number above zero, not "${text}"`);
}

export function numberList(text: string, name: string): number[] {
  return text.split(",").map((item) => positiveInteger(item, name));
}

/** One of the names. @throws for any other */
export function oneOf(text: string, all: readonly string[]): string {
  if (all.includes(text)) return text;
  throw new UsageError(`${text} is none of ${all.join(", ")}`);
}

/** The names that were asked for, or all; in the order of `all`. @throws for an unknown one. */
export function workloadNames(text: string | undefined, all: readonly string[]): string[] {
  if (text === undefined) return [...all];
  const wanted = text.split(",");
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new UsageError(`no ${unknown.join(", ")}; there are ${all.join(", ")}`);
  return all.filter((name) => wanted.includes(name));
}
