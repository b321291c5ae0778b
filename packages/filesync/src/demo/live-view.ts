import { sizeText } from "../commands/report.js";
import type { Cluster } from "./cluster.js";
import type { NodeProcess } from "./node-process.js";

const HEADINGS = ["node", "address", "links", "lag", "entries", "files", "bytes", "state"];
const REDRAW_EVERY_MS = 250;
/** Cursor home, and clear from there to the end of the screen. */
const HOME_AND_CLEAR = "\u001b[H\u001b[J";

/** Shows the nodes until aborted: a table that is redrawn on a terminal, a line for every change elsewhere. */
export async function showLive(cluster: Cluster, signal: AbortSignal): Promise<void> {
  const out = process.stdout;
  let shown = "";
  const draw = (): void => {
    const table = tableOf(cluster.nodes);
    if (out.isTTY) out.write(HOME_AND_CLEAR + headerOf(cluster) + table);
    else if (table !== shown) out.write(table);
    shown = table;
  };
  if (!out.isTTY) out.write(headerOf(cluster));
  draw();
  const timer = setInterval(draw, out.isTTY ? REDRAW_EVERY_MS : REDRAW_EVERY_MS * 8);
  try {
    await cluster.until("somebody ends the demonstration", () => signal.aborted, Number.POSITIVE_INFINITY);
  } finally {
    clearInterval(timer);
  }
}

function headerOf(cluster: Cluster): string {
  const trees = cluster.nodes.map(({ name, tree }) => `  ${name}  ${tree}`);
  return [
    "Three processes, each mirroring a directory. Edit, add or delete files in any of these:",
    "",
    ...trees,
    "",
    "Ctrl-C ends it and removes everything.",
    "",
    "",
  ].join("\n");
}

function tableOf(nodes: readonly NodeProcess[]): string {
  const rows = [HEADINGS, ...nodes.map(rowOf)];
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => cell.padEnd(widths[i] as number)).join("  ");
  return `${rows.map((row) => line(row).trimEnd()).join("\n")}\n`;
}

function rowOf({ name, report }: NodeProcess): string[] {
  if (report === undefined) return [name, "-", "-", "-", "-", "-", "-", "starting"];
  const connected = report.peers.filter(({ state }) => state === "connected");
  const lag = Math.max(0, ...connected.map(({ lagCommits }) => lagCommits));
  const work = report.pending + report.waiting;
  return [
    name,
    report.address ?? "-",
    connected.map((peer) => peer.name).join(" ") || "none",
    String(lag),
    String(report.entries),
    String(report.files),
    sizeText(report.bytes),
    report.idle ? "in step" : `${work} to do`,
  ];
}
