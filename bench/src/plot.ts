import { CURVE, type Measurement } from "./measure.js";

/**
 * Draws the latencies of writes as an SVG: across, how rare a latency is, on a scale that gives as much
 * room to the slowest hundredth as to the rest; upwards, the latency on a logarithmic scale. Readable on
 * a light ground and on a dark one, and without colours: each line carries its name at its end.
 */
export function drawLatencies(results: readonly Measurement[]): string {
  const lines = results.filter(({ curveMs }) => curveMs !== undefined).slice(0, COLOURS.length);
  if (lines.length === 0) throw new Error("none of these workloads has latencies to draw");
  const all = lines.flatMap(({ curveMs }) => curveMs ?? []).filter((ms) => ms > 0);
  const decades: Decades = [
    Math.floor(Math.log10(Math.min(...all))),
    Math.ceil(Math.log10(Math.max(...all))),
  ];
  if (decades[0] === decades[1]) decades[1]++;
  const ends = spread(lines.map(({ curveMs }) => yOf(curveMs?.at(-1) ?? 0, decades)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    '<title id="title">Latency of writes by how rare it is</title>',
    `<style>${style()}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>`,
    text(LEFT, 24, "head", "Latency of writes, ms: how long the slowest took"),
    ...axes(decades),
    ...lines.map((line, i) => drawLine(line, i, decades, ends[i])),
    "</svg>",
    "",
  ].join("\n");
}

type Decades = [low: number, high: number];

const WIDTH = 1060;
const HEIGHT = 520;
const LEFT = 64;
const RIGHT = 690;
const TOP = 44;
const BOTTOM = 470;
const LABEL_HEIGHT = 17;
/** For a light ground and for a dark one; distinct for people who see few colours, too. */
const COLOURS: readonly (readonly [string, string])[] = [
  ["#0072b2", "#56b4e9"],
  ["#b34700", "#f0913f"],
  ["#007a55", "#2fc296"],
  ["#99447a", "#dd8fbd"],
  ["#6b5b00", "#d9c53c"],
  ["#444444", "#bbbbbb"],
  ["#5b3fb5", "#a995f0"],
  ["#a30015", "#ff7a86"],
];
const DASHES: readonly string[] = ["none", "8 4", "2 3", "12 3 2 3", "5 5", "1 5", "14 5", "6 2 2 2"];

function style(): string {
  const colours = (dark: 0 | 1): string =>
    COLOURS.map((pair, i) => `.line${i}{stroke:${pair[dark]}}.name${i}{fill:${pair[dark]}}`).join("");
  const ground = (back: string, front: string, grid: string): string =>
    `.ground{fill:${back}}text{fill:${front}}.grid{stroke:${grid}}`;
  return [
    "text{font:13px system-ui,sans-serif}.head{font-weight:600;font-size:15px}",
    "path{fill:none;stroke-width:2.2;stroke-linejoin:round}.lead{stroke-width:1;opacity:.6}",
    ".tick{font-size:12px}.up{text-anchor:end}.across{text-anchor:middle}",
    ground("#ffffff", "#1f2328", "#d8dee4"),
    colours(0),
    `@media(prefers-color-scheme:dark){${ground("#0d1117", "#e6edf3", "#30363d")}${colours(1)}}`,
  ].join("");
}

/** From the fastest at the left to the slowest 1 in 10,000 at the right. */
function xOf(quantile: number): number {
  const rarest = -Math.log10(1 - CURVE[CURVE.length - 1]);
  return LEFT + ((RIGHT - LEFT) * -Math.log10(1 - quantile)) / rarest;
}

function yOf(ms: number, [low, high]: Decades): number {
  const share = (Math.log10(Math.max(ms, 10 ** low)) - low) / (high - low);
  return BOTTOM - (BOTTOM - TOP) * share;
}

function axes(decades: Decades): string[] {
  const parts: string[] = [];
  for (let decade = decades[0]; decade <= decades[1]; decade++) {
    const y = yOf(10 ** decade, decades);
    parts.push(`<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${round(y)}" y2="${round(y)}"/>`);
    parts.push(text(LEFT - 8, y + 4, "tick up", String(Number((10 ** decade).toPrecision(1)))));
  }
  for (const [quantile, name] of [
    [0, "fastest"],
    [0.5, "half"],
    [0.9, "1 in 10"],
    [0.99, "1 in 100"],
    [0.999, "1 in 1,000"],
    [0.9999, "1 in 10,000"],
  ] as const) {
    const x = xOf(quantile);
    parts.push(`<line class="grid" x1="${round(x)}" x2="${round(x)}" y1="${TOP}" y2="${BOTTOM}"/>`);
    parts.push(text(x, BOTTOM + 20, "tick across", name));
  }
  parts.push(text((LEFT + RIGHT) / 2, BOTTOM + 40, "tick across", "this share of the writes took longer"));
  return parts;
}

function drawLine(result: Measurement, index: number, decades: Decades, labelY: number): string {
  const points = (result.curveMs ?? []).map((ms, i) => [xOf(CURVE[i]), yOf(ms, decades)] as const);
  const path = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
  const [endX, endY] = points[points.length - 1];
  const lead = `M${round(endX + 3)} ${round(endY)}L${RIGHT + 18} ${round(labelY)}`;
  const size = result.keys === 1 ? "" : `, ${result.keys.toLocaleString("en")} keys`;
  return [
    `<path class="line${index}" stroke-dasharray="${DASHES[index]}" d="${path}"/>`,
    `<path class="lead line${index}" d="${lead}"/>`,
    text(RIGHT + 22, labelY + 4, `name${index}`, `${result.workload}${size}`),
  ].join("");
}

/** Heights of labels near the ends of their lines, none over another. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const placed = [...heights];
  order.forEach((index, position) => {
    if (position === 0) return;
    placed[index] = Math.max(placed[index], placed[order[position - 1]] + LABEL_HEIGHT);
  });
  const over = Math.max(0, Math.max(...placed) - BOTTOM);
  return placed.map((height) => height - over);
}

function text(x: number, y: number, kind: string, content: string): string {
  const safe = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${safe}</text>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
