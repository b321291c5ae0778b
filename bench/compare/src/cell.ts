/** One engine and one workload in this process, which does nothing else: `cell.js TASK`, TASK as JSON. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findEngine } from "./engines.js";
import type { CellResult, Task } from "./task.js";
import { WORKLOADS } from "./workloads.js";

async function main(): Promise<CellResult> {
  const task = JSON.parse(process.argv[2]) as Task;
  const workload = WORKLOADS.find(({ name }) => name === task.workload);
  if (workload === undefined) throw new Error(`no workload ${task.workload}`);
  const scratch = await mkdtemp(join(tmpdir(), "fulmar-compare-"));
  try {
    const directory = join(scratch, "data");
    return await workload.measure({ ...task, engine: findEngine(task.engine), directory });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

main().then(
  (result) => {
    // Some libraries leave threads behind that would keep the process.
    process.stdout.write(JSON.stringify(result), () => process.exit(0));
  },
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
