import type { Command } from "commander";
import { type Durability, dump, load } from "fulmar";
import type { Io } from "../io.js";
import { ProgressBar } from "../progress.js";
import { partOf, withStore } from "../session.js";
import {
  type BoundOptions,
  boundsOf,
  durabilityOption,
  jsonOption,
  keyJsonOption,
  namespaceOption,
  wholeNumber,
  withBounds,
} from "./options.js";

interface DumpOptions extends BoundOptions {
  readonly namespace?: string;
}

/** `fulmar dump DIR` */
export function addDump(program: Command, io: Io): void {
  withBounds(
    program.command("dump").description("print keys of any kind and values of any codec as JSON lines"),
  )
    .argument("<dir>", "data directory")
    .addOption(keyJsonOption())
    .addOption(namespaceOption())
    .addOption(jsonOption())
    .action(async (directory: string, options: DumpOptions) => {
      const bounds = boundsOf(options);
      // Without any bound it is everything, namespaces included.
      const range = Object.keys(bounds).length === 0 ? undefined : bounds;
      await withStore(directory, { codec: "bytes" }, io, async (store) => {
        for await (const lines of dump(partOf(store, options), range)) await io.stdout.write(lines);
      });
    });
}

interface LoadCommandOptions {
  readonly json?: true;
  readonly create?: true;
  readonly durability: Durability;
  readonly batch?: number;
}

/** `fulmar load DIR` */
export function addLoad(program: Command, io: Io): void {
  program
    .command("load")
    .description("store what a dump on standard input says, beside what is there")
    .argument("<dir>", "data directory")
    .option("--create", "make a new store if there is none")
    .option("--batch <count>", "entries of one commit; 1000 unless given", wholeNumber(1))
    .addOption(durabilityOption())
    .addOption(jsonOption())
    .action((directory: string, options: LoadCommandOptions) => loadInput(directory, options, io));
}

async function loadInput(directory: string, options: LoadCommandOptions, io: Io): Promise<void> {
  const { batch, durability, create, json } = options;
  const session = { codec: "bytes", durability, ...(create && { create }) } as const;
  const made = await withStore(directory, session, io, (store) => {
    const bar = new ProgressBar(io.stderr);
    const onProgress = ({ entries }: { entries: number }): void => bar.count("loading", entries, "entries");
    const wishes = { onProgress, ...(batch !== undefined && { batchEntries: batch }) };
    return load(store, io.inputPieces(), wishes).finally(() => bar.clear());
  });
  await io.stdout.write(`${json ? JSON.stringify(made) : `loaded ${made.entries} entries`}\n`);
}
