import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DemoArguments } from "./arguments.js";
import { Dice } from "./dice.js";
import { copyTree, writeSampleTree } from "./sample-tree.js";

const REPOSITORY = fileURLToPath(new URL("../../../../", import.meta.url));

/** Puts the first content into a node's directory: what the user chose, or a sample. */
export async function fill(directory: string, { source, once }: DemoArguments): Promise<void> {
  if (source !== undefined) return copyTree(source, directory, { withoutDerived: false });
  await writeSampleTree(directory, new Dice(7));
  if (once) await copyTree(REPOSITORY, join(directory, "sources"), { withoutDerived: true });
}
