import { describe, expect, it } from "vitest";
import { CURVE, type Measurement } from "../src/measure.js";
import { drawLatencies } from "../src/plot.js";

/** A workload whose latencies rise from `from` ms to `to` ms. */
function measured(workload: string, from: number, to: number, keys = 1): Measurement {
  const curveMs = CURVE.map((_, i) => from * (to / from) ** (i / (CURVE.length - 1)));
  return { workload, keys, valueBytes: 100, operations: 1, perSecond: 1, curveMs };
}

/** The points of each line, and the heights of the names at their ends. */
function shapes(svg: string): { lines: [x: number, y: number][][]; names: number[] } {
  const lines = [...svg.matchAll(/stroke-dasharray="[^"]*" d="([^"]*)"/g)].map(([, path]) =>
    [...path.matchAll(/([\d.]+) ([\d.]+)/g)].map(([, x, y]): [number, number] => [Number(x), Number(y)]),
  );
  const names = [...svg.matchAll(/<text class="name\d" x="[^"]*" y="([^"]*)"/g)].map(([, y]) => Number(y));
  return { lines, names };
}

describe("drawLatencies", () => {
  it("draws slower to the right and higher up, on one scale for all", () => {
    const { lines } = shapes(drawLatencies([measured("fast", 0.1, 10), measured("slow", 1, 100)]));
    expect(lines.map((points) => points.length)).toEqual([CURVE.length, CURVE.length]);
    for (const points of lines) {
      for (let i = 1; i < points.length; i++) {
        expect(points[i][0]).toBeGreaterThan(points[i - 1][0]);
        expect(points[i][1]).toBeLessThan(points[i - 1][1]);
      }
    }
    const [fast, slow] = lines;
    // Ten times as slow is one decade of three higher, at every point.
    const decade = (470 - 44) / 3;
    for (const [i, [x, y]] of slow.entries()) {
      expect(x).toBe(fast[i][0]);
      expect(fast[i][1] - y).toBeCloseTo(decade, 0);
    }
  });

  it("names each line where it ends, none over another", () => {
    const same = ["a", "b", "c"].map((name) => measured(name, 1, 10));
    const svg = drawLatencies([...same, measured("d <&", 1, 10, 1_000_000)]);
    const { names } = shapes(svg);
    const sorted = [...names].sort((a, b) => a - b);
    expect(names).toHaveLength(4);
    for (let i = 1; i < 4; i++) expect(sorted[i] - sorted[i - 1]).toBeGreaterThanOrEqual(16.9);
    expect(svg).toContain(">d &lt;&amp;, 1,000,000 keys</text>");
    expect(svg).toContain(">a</text>");
  });

  it("has a scale where all took equally long", () => {
    const { lines } = shapes(drawLatencies([measured("even", 1, 1)]));
    expect(lines[0].every(([x, y]) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
    expect(new Set(lines[0].map(([, y]) => y)).size).toBe(1);
  });

  it("draws what has latencies, as many as it has colours for", () => {
    const without: Measurement = { workload: "scan", keys: 1, valueBytes: 1, operations: 1, perSecond: 1 };
    const many = Array.from({ length: 9 }, (_, i) => measured(`w${i}`, 1, 10));
    expect(shapes(drawLatencies([without, ...many])).lines).toHaveLength(8);
    expect(() => drawLatencies([without])).toThrow(/latencies to draw/);
  });
});
