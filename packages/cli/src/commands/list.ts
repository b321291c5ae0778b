import type { Command } from "commander";
import { type Entry, type Key, keyToJson, type ListOptions } from "fulmar";
import { entryToJson } from "../entries.js";
import { type Io, LineWriter } from "../io.js";
import { describeKey } from "../keys.js";
import { partOf, withStore } from "../session.js";
import { valueToLine } from "../values.js";
import {
  type BoundOptions,
  boundsOf,
  type EntryOptions,
  wholeNumber,
  withBounds,
  withEntryOptions,
} from "./options.js";

interface ListCommandOptions extends EntryOptions, BoundOptions {
  readonly reverse?: true;
  readonly limit?: number;
  readonly keysOnly?: true;
}

/** `fulmar list DIR` */
export function addList(program: Command, io: Io): void {
  const command = program.command("list").description("print entries in order of key: key, tab, value");
  withBounds(withEntryOptions(command))
    .argument("<dir>", "data directory")
    .option("--reverse", "from the last key to the first")
    .option("--limit <count>", "at most so many", wholeNumber(0))
    .option("--keys-only", "leave out the values")
    .action((directory: string, options: ListCommandOptions) => list(directory, options, io));
}

async function list(directory: string, options: ListCommandOptions, io: Io): Promise<void> {
  const range = rangeOf(options);
  await withStore(directory, options, io, async (store) => {
    const part = partOf(store, options);
    const lines = new LineWriter(io.stdout);
    try {
      if (options.keysOnly) {
        for (const key of part.keys(range)) await lines.line(keyLine(key, options));
      } else {
        for (const entry of part.list(range)) await lines.line(entryLine(entry, options));
      }
    } finally {
      // What was read before a value that cannot be decoded is printed all the same.
      await lines.flush();
    }
  });
}

function rangeOf(options: ListCommandOptions): ListOptions {
  return {
    ...boundsOf(options),
    ...(options.reverse && { reverse: true }),
    ...(options.limit !== undefined && { limit: options.limit }),
  };
}

function keyLine(key: Key, options: ListCommandOptions): string {
  return options.json ? JSON.stringify(keyToJson(key)) : describeKey(key);
}

function entryLine(entry: Entry<unknown>, options: ListCommandOptions): string {
  if (options.json) return JSON.stringify(entryToJson(entry));
  return `${describeKey(entry.key)}\t${valueToLine(entry.value, options.codec)}`;
}
