import type { Command } from "commander";
import type { Durability } from "fulmar";
import { CommandError } from "../errors.js";
import type { Io } from "../io.js";
import { describeKey, parseKey } from "../keys.js";
import { partOf, withStore } from "../session.js";
import { durabilityOption, type EntryOptions, withEntryOptions } from "./options.js";

interface DeleteOptions extends EntryOptions {
  readonly durability: Durability;
}

/** `fulmar delete DIR KEY` */
export function addDelete(program: Command, io: Io): void {
  withEntryOptions(program.command("delete").description("delete a key"))
    .argument("<dir>", "data directory")
    .argument("<key>")
    .addOption(durabilityOption())
    .action((directory: string, keyText: string, options: DeleteOptions) =>
      remove(directory, keyText, options, io),
    );
}

async function remove(directory: string, keyText: string, options: DeleteOptions, io: Io): Promise<void> {
  const key = parseKey(keyText, options.keyJson === true);
  const { version, stamp } = await withStore(directory, options, io, async (store) => {
    const part = partOf(store, options);
    if (!part.has(key)) throw new CommandError("KEY_NOT_FOUND", `there is no key ${describeKey(key)}`);
    return part.delete(key);
  });
  await io.stdout.write(
    options.json ? `${JSON.stringify({ version, stamp })}\n` : `deleted in version ${version}\n`,
  );
}
