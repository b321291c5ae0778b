import { rateText, table } from "../../dist/tables.js";
import { ENGINES, findEngine } from "./engines.js";
import type { Cell } from "./schedule.js";
import { ROWS, type Row } from "./workloads.js";

const OURS = "fulmar";
/** A ratio closer to one than this says nothing: runs differ by as much. */
const TIE = 1.3;

/** One row for each thing measured, one column for each engine, and how Fulmar stands to the best of the others. */
export function comparisonTable(cells: readonly Cell[]): string {
  const engines = enginesOf(cells);
  const heads = [
    "workload",
    ...engines,
    "against the best store",
    "against the least, in order",
    "against Map",
  ];
  const rows = ROWS.map((row) => ({ row, found: cells.filter((cell) => cell.row === row.name) }))
    .filter(({ found }) => found.length > 0)
    .map(({ row, found }) => [
      row.name,
      ...engines.map((engine) => cellText(row, found.find((cell) => cell.engine === engine)?.median)),
      verdict(
        row,
        found,
        ({ durable, isStore, name }) => durable && isStore !== false && !name.startsWith(OURS),
      ),
      verdict(row, found, ({ name }) => name === "least-ordered"),
      verdict(row, found, ({ name }) => name === "Map"),
    ]);
  return table(heads, rows);
}

export function latencyTable(cells: readonly Cell[]): string {
  const timed = cells.filter(({ latency }) => latency !== undefined);
  const engines = enginesOf(timed);
  const rows = ROWS.map(({ name }) => ({ name, found: timed.filter((cell) => cell.row === name) }))
    .filter(({ found }) => found.length > 0)
    .map(({ name, found }) => [
      name,
      ...engines.map((engine) => {
        const latency = found.find((cell) => cell.engine === engine)?.latency;
        if (latency === undefined) return "-";
        return [latency.p50Ms, latency.p99Ms, latency.p999Ms].map(numberText).join(" / ");
      }),
    ]);
  return table(["workload", ...engines], rows);
}

function enginesOf(cells: readonly Cell[]): string[] {
  return ENGINES.map(({ name }) => name).filter((name) => cells.some(({ engine }) => engine === name));
}

function cellText({ isRate }: Row, value: number | undefined): string {
  if (value === undefined) return "-";
  if (isRate) return rateText(value);
  return numberText(value);
}

function numberText(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** How many times better Fulmar is than the best of some others; "tie", or how far behind which. */
function verdict(
  row: Row,
  cells: readonly Cell[],
  isRival: (engine: ReturnType<typeof findEngine>) => boolean,
): string {
  const ours = cells.find(({ engine }) => engine === OURS);
  const rivals = cells.filter(({ engine }) => engine !== OURS && isRival(findEngine(engine)));
  if (!row.compared || ours === undefined || rivals.length === 0) return "-";
  const sign = row.better === "higher" ? 1 : -1;
  const best = rivals.reduce((a, b) => (sign * a.median >= sign * b.median ? a : b));
  const ratio = (ours.median / best.median) ** sign;
  if (ratio < TIE && ratio > 1 / TIE) return `tie with ${best.engine} (${ratio.toFixed(2)})`;
  return ratio >= 1
    ? `${ratio.toFixed(1)} x ${best.engine}`
    : `${ratio.toPrecision(2)} x ${best.engine}: behind`;
}
