import { setTimeout } from "node:timers/promises";
import type { DemoArguments } from "./arguments.js";
import { compareBytes, pictureOf, type TreePicture } from "./byte-compare.js";
import type { Cluster } from "./cluster.js";
import { DemoFailure } from "./cluster.js";
import { Dice } from "./dice.js";
import type { Figures } from "./figures.js";
import { fill } from "./fill.js";
import { measureLatency } from "./latency.js";
import { Writer } from "./writer.js";

const CONVERGE_MS_MAX = 600_000;
const LATENCY_SAMPLES = 20;
/** Operations of each writer: before the kill, while a node is dead, and after its restart. */
const OPERATIONS = { before: 60, meanwhile: 60, after: 40 } as const;
const DIFFERENCES_SHOWN = 5;

/** Mirrors, kills, restarts and compares; resolves with the figures, rejects with what went wrong. */
export async function runUnattended(
  cluster: Cluster,
  options: DemoArguments,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<Figures> {
  const [first, victim] = cluster.nodes;
  say("starting three nodes");
  await cluster.start();
  say("filling the first directory");
  const startMs = performance.now();
  await fill(first.tree, options);
  const filled = await pictureOf(first.tree);
  say(`mirroring ${filled.files} files to the two others`);
  await untilEqual(cluster, filled.files);
  const mirrored = { files: filled.files, bytes: filled.bytes, ms: performance.now() - startMs };

  say("measuring how long a small change takes");
  const latency = await measureLatency(first.tree, cluster.trees.slice(1), LATENCY_SAMPLES, signal);

  say("writing on all three at once");
  const writers = cluster.nodes.map((node, i) => new Writer(node.tree, node.name, new Dice(i + 1)));
  const writing = Promise.all(
    writers.map((writer) => writer.write(OPERATIONS.before + OPERATIONS.meanwhile)),
  );
  await untilHalfDone(writers[1] as Writer, OPERATIONS.before, signal);
  say(`killing node ${victim.name} (SIGKILL) while its directory is being written to`);
  await victim.kill();
  await writing;
  say(`restarting node ${victim.name}, and writing on`);
  const restartMs = performance.now();
  await cluster.restart(victim);
  await Promise.all(writers.map((writer) => writer.write(OPERATIONS.after)));
  const final = await untilEqual(cluster, undefined);
  const convergedMs = performance.now() - restartMs;
  for (const writer of writers) assertKept(writer, final);
  return {
    mirrored,
    latency,
    operations: writers.reduce((sum, writer) => sum + writer.operations, 0),
    conflicts: cluster.nodes.reduce((sum, { report }) => sum + (report?.conflicts ?? 0), 0),
    convergedMs,
    final: { files: final.files, bytes: final.bytes },
    digest: first.report?.digest ?? "",
  };
}

/** All nodes say that they are in step, and every byte of the three trees confirms it. */
async function untilEqual(cluster: Cluster, files: number | undefined): Promise<TreePicture> {
  let differences: string[] = ["nobody was in step yet"];
  try {
    return await cluster.until(
      "all three trees and stores are equal",
      async () => {
        if (!cluster.isInStep() || !cluster.isConnected()) return undefined;
        if (files !== undefined && cluster.nodes.some(({ report }) => (report?.files ?? 0) < files))
          return undefined;
        const outcome = await compareBytes(cluster.trees);
        if (!Array.isArray(outcome)) return outcome;
        differences = outcome;
        return undefined;
      },
      CONVERGE_MS_MAX,
    );
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    const shown = differences.slice(0, DIFFERENCES_SHOWN).map((line) => `  ${line}`);
    const states = cluster.nodes.map(
      ({ name, report }) => `  ${name}: ${JSON.stringify(report ?? "no status")}`,
    );
    throw new DemoFailure([error.message, ...shown, ...states].join("\n"));
  }
}

async function untilHalfDone(writer: Writer, operations: number, signal: AbortSignal): Promise<void> {
  while (writer.operations < operations) {
    signal.throwIfAborted();
    await setTimeout(1);
  }
}

/** Nothing that a user saved and nobody else touched may be missing or changed. */
function assertKept(writer: Writer, picture: TreePicture): void {
  for (const [path, sha256] of writer.expected) {
    const found = picture.entries.get(path);
    if (found?.endsWith(` ${sha256}`) !== true) {
      throw new DemoFailure(`all three agree, but not on what was saved: ${path} is ${found ?? "absent"}`);
    }
  }
  const folder = `${writer.folder}/`;
  for (const [path, found] of picture.entries) {
    if (path.startsWith(folder) && found.startsWith("file") && !writer.expected.has(path)) {
      throw new DemoFailure(`a deleted file is back: ${path}`);
    }
  }
}
