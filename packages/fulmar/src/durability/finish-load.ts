import type { Runtime } from "../base/runtime/interface.js";
import type { BulkLoader } from "../memory/engine.js";
import { Pacer } from "./files.js";

/** What one step of finishing a load counts as: the clock is looked at after each. */
const STEP_BYTES = 64 * 1024;

/** Finishes a load at `version`, with turns of the event loop in between. */
export async function finishLoad(
  runtime: Pick<Runtime, "clock" | "timers">,
  loader: BulkLoader,
  version: number,
): Promise<void> {
  const pacer = new Pacer(runtime);
  while (!loader.step()) if (pacer.worked(STEP_BYTES)) await pacer.rest();
  loader.finish(version);
}
