#!/usr/bin/env node
import { Command, CommanderError, Option } from "commander";
import { check } from "./commands/check.js";
import { EXIT_USAGE } from "./commands/exit-codes.js";
import { type RunFlags, run } from "./commands/run.js";

const program = new Command("fulmar-filesync")
  .description("Mirrors directory trees between processes through a replicated Fulmar store.")
  .exitOverride()
  .showHelpAfterError("(run with --help for all options)");

program
  .command("run")
  .description("mirror one directory until told to stop (SIGINT or SIGTERM)")
  .requiredOption("--dir <directory>", "the tree to mirror; created if missing")
  .requiredOption("--data <directory>", "where store and index are kept; outside of the tree")
  .option("--listen <host:port>", "accept peers here; port 0 lets the system choose")
  .option("--peer <host:port>", "a node to connect to; may be given several times", collect, [])
  .option("--secret-file <file>", "holds the secret that all nodes share; otherwise FULMAR_SECRET is used")
  .option("--name <name>", "a label for status lines")
  .addOption(
    new Option("--report <format>", "how status is printed").choices(["text", "json"]).default("text"),
  )
  .option("--report-interval <ms>", "pause between two status lines", wholeMs, 1000)
  .option("--rescan-interval <ms>", "pause between two full scans of the tree", wholeMs, 30_000)
  .option("--until-stdin-ends", "also stop when standard input ends, as it does when the parent dies")
  .action(async (flags: RunFlags) => {
    process.exitCode = await run(flags);
  });

program
  .command("check")
  .description("compare trees: paths, kinds, permission bits and content")
  .requiredOption("--dirs <list>", "two or more directories, separated by commas")
  .option("--json", "print the result as JSON")
  .addHelpText("after", "\nExit codes: 0 equal, 1 different, 2 wrong usage or unreadable.")
  .action(async (flags: { dirs: string; json?: boolean }) => {
    process.exitCode = await check(flags.dirs.split(","), flags.json === true);
  });

// Whoever reads the output may go away; the exit code stays the answer.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    process.stderr.write(`fulmar-filesync: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

function collect(value: string, values: string[]): string[] {
  return [...values, value];
}

function wholeMs(text: string): number {
  const ms = Number(text);
  if (!Number.isInteger(ms) || ms < 10 || ms > 86_400_000) {
    throw new CommanderError(EXIT_USAGE, "usage", `not a number of ms from 10 to 86400000: ${text}`);
  }
  return ms;
}
