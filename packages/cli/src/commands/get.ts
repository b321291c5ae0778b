import type { Command } from "commander";
import { entryToJson } from "../entries.js";
import { CommandError } from "../errors.js";
import type { Io } from "../io.js";
import { describeKey, parseKey } from "../keys.js";
import { partOf, withStore } from "../session.js";
import { valueToLine, valueToText } from "../values.js";
import { type EntryOptions, withEntryOptions } from "./options.js";

/** `fulmar get DIR KEY` */
export function addGet(program: Command, io: Io): void {
  withEntryOptions(program.command("get").description("print the value of a key"))
    .argument("<dir>", "data directory")
    .argument("<key>")
    .action((directory: string, keyText: string, options: EntryOptions) =>
      get(directory, keyText, options, io),
    );
}

async function get(directory: string, keyText: string, options: EntryOptions, io: Io): Promise<void> {
  const key = parseKey(keyText, options.keyJson === true);
  const text = await withStore(directory, options, io, async (store) => {
    const entry = partOf(store, options).entry(key);
    if (entry === undefined) throw new CommandError("KEY_NOT_FOUND", `there is no key ${describeKey(key)}`);
    if (options.json) return JSON.stringify(entryToJson(entry));
    // A file gets the value as it is; a terminal must not be steered by it.
    return (io.stdout.interactive ? valueToLine : valueToText)(entry.value, options.codec);
  });
  await io.stdout.write(`${text}\n`);
}
