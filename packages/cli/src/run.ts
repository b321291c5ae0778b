import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { addBackup, addRestore } from "./commands/backup.js";
import { addCheck } from "./commands/check.js";
import { addDelete } from "./commands/delete.js";
import { addDump, addLoad } from "./commands/dump.js";
import { addGet } from "./commands/get.js";
import { addList } from "./commands/list.js";
import { addNamespaces } from "./commands/namespaces.js";
import { addRepair } from "./commands/repair.js";
import { addSet } from "./commands/set.js";
import { addStatus } from "./commands/status.js";
import { encryptionOf, KEY_VARIABLE } from "./encryption.js";
import { CommandError, describeReport, reportOf } from "./errors.js";
import { EXIT, EXIT_CODES, exitCodeOf } from "./exit-codes.js";
import { type Io, PipeClosed } from "./io.js";

const { version } = createRequire(import.meta.url)("@fulmar/cli/package.json") as { version: string };

/** Runs one command line, without the program's own name, and resolves to its exit code. Never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const printed: string[] = [];
  let code: number = EXIT.ok;
  const answer = (chosen: number): void => {
    code = chosen;
  };
  try {
    await programOf({ ...io }, printed, answer).parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    // Whoever read the output went away: what the command has answered, with damage that it found, stays its answer.
    if (error instanceof PipeClosed) return code;
    return await settle(error, argv, printed, io).catch(pipeOrFailure);
  }
}

function programOf(io: Io, printed: string[], answer: (code: number) => void): Command {
  const program = new Command("fulmar")
    .description(
      "Read, write, check, repair, back up, restore, dump and load a Fulmar store on this machine.",
    )
    .version(version)
    .helpCommand("help [command]", "explain a command")
    .showHelpAfterError(false)
    .option(
      "--key-file <path>",
      "file with the key of an encrypted store; again for each former key",
      add,
      [],
    )
    .hook("preAction", async () => {
      io.encryption = await encryptionOf(program.opts<{ keyFile: string[] }>().keyFile, io);
    })
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ writeOut: (text) => printed.push(text), writeErr: () => {}, outputError: () => {} })
    .addHelpText("after", exitCodesHelp());
  for (const addTo of [addGet, addSet, addDelete, addList, addNamespaces, addStatus]) addTo(program, io);
  addCheck(program, io, answer);
  for (const addTo of [addBackup, addRestore, addDump, addLoad, addRepair]) addTo(program, io);
  return program;
}

function add(path: string, before: readonly string[]): string[] {
  return [...before, path];
}

function exitCodesHelp(): string {
  const codes = EXIT_CODES.map(({ code, meaning }) => `  ${code}  ${meaning}`).join("\n");
  const key = `The key of an encrypted store may also stand in the environment, as ${KEY_VARIABLE}.`;
  return `\n${key}\n\nExit codes:\n${codes}\n`;
}

async function settle(error: unknown, argv: readonly string[], printed: string[], io: Io): Promise<number> {
  if (error instanceof CommanderError && error.exitCode === 0) {
    await io.stdout.write(printed.join(""));
    return EXIT.ok;
  }
  const cause = error instanceof CommanderError ? usageError(error) : error;
  const report = reportOf(cause);
  const text = wantsJson(argv) ? `${JSON.stringify(report)}\n` : describeReport(report);
  // That nobody reads why does not make a success of it.
  await io.stderr.write(text).catch(() => {});
  return exitCodeOf(cause);
}

function usageError(error: CommanderError): CommandError {
  // Without any command commander has help to show instead of a message.
  if (error.code === "commander.help")
    return new CommandError(
      "USAGE",
      "say what to do: get, set, delete, list, namespaces, status, check, repair, backup, restore, dump or load",
    );
  return new CommandError("USAGE", error.message.replace(/^error: /, ""));
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? argv.length : end).includes("--json");
}

function pipeOrFailure(error: unknown): number {
  return error instanceof PipeClosed ? EXIT.ok : EXIT.failed;
}
