import { sizeText } from "../commands/report.js";
import type { Latency } from "./latency.js";

/** What an unattended run measured. */
export interface Figures {
  readonly mirrored: { readonly files: number; readonly bytes: number; readonly ms: number };
  readonly latency: Latency;
  readonly operations: number;
  readonly conflicts: number;
  /** From the restart of the killed node until all trees and stores were equal. */
  readonly convergedMs: number;
  readonly final: { readonly files: number; readonly bytes: number };
  readonly digest: string;
}

export function figuresText(figures: Figures): string {
  const { mirrored, latency, operations, conflicts, convergedMs, final, digest } = figures;
  const perSecond = sizeText(Math.round((mirrored.bytes * 1000) / mirrored.ms));
  const rows: [string, string][] = [
    [
      "mirrored to both others",
      `${mirrored.files} files, ${sizeText(mirrored.bytes)} in ${seconds(mirrored.ms)} (${perSecond}/s)`,
    ],
    [
      "a small change arrives",
      `p50 ${latency.p50Ms.toFixed(0)} ms, max ${latency.maxMs.toFixed(0)} ms (${latency.samples} times)`,
    ],
    ["written on all three at once", `${operations} operations, ${conflicts} conflicts`],
    ["in step after kill and restart", seconds(convergedMs)],
    ["compared byte by byte", `${final.files} files, ${sizeText(final.bytes)}, three times equal`],
    ["digest of the three stores", digest],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}\n`).join("");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
