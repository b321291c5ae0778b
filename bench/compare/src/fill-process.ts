/**
 * Loads a store in a process of its own, then closes it and ends, or waits to be killed:
 * `fill-process.js ENGINE DIRECTORY KEYS VALUE_BYTES closed|killed`.
 */
import { shuffled } from "../../dist/measure.js";
import { findEngine } from "./engines.js";
import { loadBatches } from "./load.js";

async function main(): Promise<void> {
  const [engine, directory, keys, valueBytes, end] = process.argv.slice(2);
  const handle = await findEngine(engine).open(directory, "relaxed");
  await loadBatches(handle, shuffled(Number(keys)), Number(valueBytes));
  process.send?.({ serverProcessId: handle.serverProcessId });
  if (end === "killed") {
    process.once("disconnect", () => process.exit(0));
    return;
  }
  await handle.close();
  process.exit(0);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
