/**
 * Fills a store in a process of its own, tells when all is on disk, and waits to be killed:
 * `fill-process.js DIRECTORY KEYS VALUE_BYTES log|checkpoint`.
 */
import { fill, openBytes } from "./fill.js";
import { shuffled } from "./measure.js";

async function main(): Promise<void> {
  const [directory, keys, valueBytes, kind] = process.argv.slice(2);
  // Without checkpoints of its own everything is in the log.
  const db = await openBytes(directory, "relaxed", { checkpoint: { everyBytes: Number.MAX_SAFE_INTEGER } });
  await fill(db, shuffled(Number(keys)), Number(valueBytes));
  await db.flush();
  if (kind === "checkpoint") await db.checkpoint();
  process.send?.("filled");
  // Keeps the process until it is killed, or its parent is gone.
  process.once("disconnect", () => process.exit(0));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
