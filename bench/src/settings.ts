/** Reads what the command lines of the benchmarks say. */

export function positiveInteger(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`--${name} takes a whole number above zero, not "${text}"`);
}

export function numberList(text: string, name: string): number[] {
  return text.split(",").map((item) => positiveInteger(item, name));
}

/** The names that were asked for, or all; in the order of `all`. @throws Error for an unknown one. */
export function workloadNames(text: string | undefined, all: readonly string[]): string[] {
  if (text === undefined) return [...all];
  const wanted = text.split(",");
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no ${unknown.join(", ")}; there are ${all.join(", ")}`);
  return all.filter((name) => wanted.includes(name));
}
