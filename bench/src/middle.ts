import { type Measurement, median } from "./measure.js";

/** Of several runs of one workload, each number's median. */
export function middle(runs: readonly Measurement[]): Measurement {
  const of = (pick: (run: Measurement) => number | undefined): number | undefined => {
    const values = runs.map(pick);
    return values.every((value) => value !== undefined) ? median(values) : undefined;
  };
  const { figures, curveMs } = runs[0];
  const names = Object.keys(figures ?? {});
  const curve = curveMs?.map((_, i) => of((run) => run.curveMs?.[i]) ?? 0);
  const quantiles = Object.entries({
    p50Ms: of((run) => run.p50Ms),
    p99Ms: of((run) => run.p99Ms),
    p999Ms: of((run) => run.p999Ms),
  }).filter(([, value]) => value !== undefined);
  return {
    ...runs[0],
    operations: median(runs.map((run) => run.operations)),
    perSecond: median(runs.map((run) => run.perSecond)),
    ...Object.fromEntries(quantiles),
    ...(curve === undefined ? {} : { curveMs: curve }),
    ...(figures === undefined
      ? {}
      : { figures: Object.fromEntries(names.map((name) => [name, of((run) => run.figures?.[name]) ?? 0])) }),
  };
}
