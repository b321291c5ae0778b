import type { Measurement } from "./measure.js";

/** Markdown tables: one of rates and latencies, and one for each set of figures that workloads share. */
export function tables(results: readonly Measurement[]): string[] {
  const rates = results.filter(({ figures }) => figures === undefined);
  const others = groups(results);
  return [...(rates.length > 0 ? [rateTable(rates)] : []), ...others.map(figureTable)];
}

function groups(results: readonly Measurement[]): Measurement[][] {
  const byNames = new Map<string, Measurement[]>();
  for (const result of results) {
    if (result.figures === undefined) continue;
    const names = Object.keys(result.figures).join("|");
    byNames.set(names, [...(byNames.get(names) ?? []), result]);
  }
  return [...byNames.values()];
}

function rateTable(results: readonly Measurement[]): string {
  return table(
    ["workload", "keys", "value bytes", "per second", "p50 ms", "p99 ms", "p99.9 ms", "note"],
    results.map(({ workload, keys, valueBytes, perSecond, p50Ms, p99Ms, p999Ms, note }) => [
      workload,
      countText(keys),
      String(valueBytes),
      rateText(perSecond),
      ...[p50Ms, p99Ms, p999Ms].map((ms) => ms?.toFixed(3) ?? ""),
      note ?? "",
    ]),
  );
}

function figureTable(results: readonly Measurement[]): string {
  const names = Object.keys(results[0].figures ?? {});
  return table(
    ["workload", "keys", "value bytes", "per second", ...names, "note"],
    results.map(({ workload, keys, valueBytes, perSecond, figures, note }) => [
      workload,
      countText(keys),
      String(valueBytes),
      rateText(perSecond),
      ...names.map((name) => figureText(figures?.[name] ?? 0)),
      note ?? "",
    ]),
  );
}

/**
 * What each operation of the growth workload costs at the largest size as a multiple of that at the
 * smallest; undefined when there is one size only.
 */
export function growthTable(results: readonly Measurement[]): string | undefined {
  const rows: string[][] = [];
  for (const large of results) {
    const small = results.find(
      (other) => other.workload === large.workload && isSmaller(other, large, results),
    );
    if (small === undefined) continue;
    for (const [name, value] of Object.entries(large.figures ?? {})) {
      const base = small.figures?.[name] ?? 0;
      if (!name.endsWith(" us") || base === 0) continue;
      const sizes = `${countText(large.keys)} to ${countText(small.keys)}`;
      rows.push([
        name.replace(/ us$/, ""),
        String(large.valueBytes),
        sizes,
        `${(value / base).toFixed(2)} x`,
      ]);
    }
  }
  return rows.length === 0 ? undefined : table(["cost of each", "value bytes", "keys", "ratio"], rows);
}

/** Whether `small` has the fewest keys of all that are like `large`, and `large` the most. */
function isSmaller(small: Measurement, large: Measurement, results: readonly Measurement[]): boolean {
  const sizes = results
    .filter(({ workload, valueBytes }) => workload === large.workload && valueBytes === large.valueBytes)
    .map(({ keys }) => keys);
  return (
    small.valueBytes === large.valueBytes &&
    small.keys === Math.min(...sizes) &&
    large.keys === Math.max(...sizes) &&
    small.keys < large.keys
  );
}

/** A Markdown table; the first column and one called "note" are text, the others numbers. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = heads.map((head, i) => (i === 0 || head === "note" ? "---" : "--:"));
  return [heads, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

export function rateText(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  return perSecond >= 1e4 ? `${(perSecond / 1e3).toFixed(0)} k` : `${(perSecond / 1e3).toFixed(1)} k`;
}

export function countText(count: number): string {
  if (count >= 1e6) return `${count / 1e6} M`;
  return count >= 1e3 ? `${count / 1e3} k` : String(count);
}

function figureText(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
