/**
 * `npm run sim`: whole clusters on simulated disks, clocks and network.
 *
 *   -- --seed S        one seed, with what it expands to
 *   -- --count N       seeds from --first (default 1)
 *   -- --seconds S     fresh seeds for so long
 *   -- --sample        what `npm test` runs: kept seeds, 40 fixed ones, each twice; then fresh ones for 60 s
 */
import { parseArgs } from "node:util";
import { nodeCryptography } from "fulmar/testing";
import { REGRESSIONS } from "./regressions.js";
import { type RunReport, runSeed } from "./run.js";

interface Totals {
  seeds: number;
  issued: number;
  acknowledged: number;
  slowestMs: number;
}

const totals: Totals = { seeds: 0, issued: 0, acknowledged: 0, slowestMs: 0 };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      count: { type: "string", default: "0" },
      first: { type: "string", default: "1" },
      seconds: { type: "string", default: "0" },
      sample: { type: "boolean", default: false },
    },
  });
  const begin = performance.now();
  if (values.seed !== undefined) await one(values.seed);
  if (values.sample) await sample();
  await fixed(Number(values.first), Number(values.count), false);
  await fresh(Number(values.seconds));
  const { seeds, issued, acknowledged, slowestMs } = totals;
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    `${seeds} seeds in ${seconds} s: ${issued} writes issued, ${acknowledged} acknowledged; ` +
      `slowest convergence after healing ${slowestMs} ms (virtual). All converged, nothing lost.`,
  );
}

async function sample(): Promise<void> {
  for (const seed of REGRESSIONS) await passes(seed, true);
  await fixed(1, 40, true);
  await fresh(60);
}

async function fixed(first: number, count: number, twice: boolean): Promise<void> {
  for (let seed = first; seed < first + count; seed++) await passes(String(seed), twice);
}

async function fresh(seconds: number): Promise<void> {
  if (seconds <= 0) return;
  const base = Date.now();
  console.log(`fresh seeds from ${base}`);
  const begin = performance.now();
  for (let i = 0; performance.now() - begin < seconds * 1000; i++) await passes(String(base + i), false);
}

async function one(seed: string): Promise<void> {
  const report = await passes(seed, true);
  console.log(JSON.stringify(report, undefined, 2));
}

/** Runs a seed, twice if asked, and ends everything at the first failure. */
async function passes(seed: string, twice: boolean): Promise<RunReport> {
  const report = await runSeed(seed, nodeCryptography);
  if (report.error !== undefined) throw failure(report, report.error.stack ?? report.error.message);
  if (twice) {
    const again = await runSeed(seed, nodeCryptography);
    if (again.trace !== report.trace) throw failure(report, "two runs of one seed took different ways");
  }
  totals.seeds++;
  totals.issued += report.issued;
  totals.acknowledged += report.acknowledged;
  totals.slowestMs = Math.max(totals.slowestMs, report.convergedMs);
  return report;
}

function failure(report: RunReport, reason: string): Error {
  const scenario = JSON.stringify(report.scenario);
  return new Error(
    `seed ${report.seed} failed: ${reason}\n${scenario}\nreplay: npm run sim -- --seed ${report.seed}`,
  );
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
