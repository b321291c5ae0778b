import type { Command } from "commander";
import { restore } from "fulmar";
import type { Io } from "../io.js";
import { oneLine } from "../keys.js";
import { withProgress } from "../progress.js";
import { withKeys, withStore } from "../session.js";
import { jsonOption } from "./options.js";

/** `fulmar backup DIR TARGET` */
export function addBackup(program: Command, io: Io): void {
  program
    .command("backup")
    .description("write a store into one file, and check it")
    .argument("<dir>", "data directory")
    .argument("<target>", "a new file, or a directory in which the backup gets a name of its own")
    .addOption(jsonOption())
    .action(async (directory: string, target: string, options: { json?: true }) => {
      const made = await withStore(directory, { codec: "bytes" }, io, (store) =>
        withProgress(io, (onProgress) => store.backup(target, { onProgress })),
      );
      const text = `${oneLine(made.path)}: ${made.entries} entries of version ${made.version}, ${made.bytes} bytes`;
      await io.stdout.write(`${options.json ? JSON.stringify(made) : text}\n`);
    });
}

/** `fulmar restore BACKUP DIR` */
export function addRestore(program: Command, io: Io): void {
  program
    .command("restore")
    .description("make a new store from a backup, with an identity of its own")
    .argument("<backup>", "the file that `fulmar backup` made")
    .argument("<dir>", "data directory: missing or empty")
    .addOption(jsonOption())
    .action(async (backup: string, directory: string, options: { json?: true }) => {
      const made = await withProgress(io, (onProgress) =>
        restore(backup, directory, { onProgress, ...withKeys(io) }),
      );
      const text = `${oneLine(made.directory)}: ${made.entries} entries of version ${made.version}`;
      await io.stdout.write(`${options.json ? JSON.stringify(made) : text}\n`);
    });
}
