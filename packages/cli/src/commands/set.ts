import type { Command } from "commander";
import type { Durability } from "fulmar";
import { CommandError } from "../errors.js";
import { type Io, wholeInput } from "../io.js";
import { parseKey } from "../keys.js";
import { partOf, withStore } from "../session.js";
import { parseInput, parseValue } from "../values.js";
import { durabilityOption, type EntryOptions, wholeNumber, withEntryOptions } from "./options.js";

interface SetOptions extends EntryOptions {
  readonly durability: Durability;
  readonly ttl?: number;
  readonly create?: true;
  readonly stdin?: true;
}

/** `fulmar set DIR KEY VALUE` */
export function addSet(program: Command, io: Io): void {
  withEntryOptions(program.command("set").description("store a value under a key"))
    .argument("<dir>", "data directory")
    .argument("<key>")
    .argument("[value]", "JSON, text, base64 or digits, as --codec says")
    .option("--stdin", "read the value from standard input (raw bytes with --codec bytes)")
    .option("--create", "make a new store if there is none")
    .option("--ttl <ms>", "forget the key after so many milliseconds", wholeNumber(1))
    .addOption(durabilityOption())
    .action((directory: string, keyText: string, valueText: string | undefined, options: SetOptions) =>
      set(directory, keyText, valueText, options, io),
    );
}

async function set(
  directory: string,
  keyText: string,
  valueText: string | undefined,
  options: SetOptions,
  io: Io,
): Promise<void> {
  const key = parseKey(keyText, options.keyJson === true);
  const value = await chosenValue(valueText, options, io);
  const { version, stamp } = await withStore(directory, options, io, (store) =>
    partOf(store, options).set(key, value, options.ttl === undefined ? {} : { ttl: options.ttl }),
  );
  await io.stdout.write(
    options.json ? `${JSON.stringify({ version, stamp })}\n` : `stored in version ${version}\n`,
  );
}

async function chosenValue(text: string | undefined, options: SetOptions, io: Io): Promise<unknown> {
  if ((text === undefined) !== (options.stdin === true)) {
    throw new CommandError("USAGE", "give either a value or --stdin");
  }
  return text === undefined
    ? parseInput(await wholeInput(io), options.codec)
    : parseValue(text, options.codec);
}
