import type { Command } from "commander";
import { type RepairReport, repair } from "fulmar";
import type { Io } from "../io.js";
import { oneLine } from "../keys.js";
import { withProgress } from "../progress.js";
import { withKeys } from "../session.js";
import { jsonOption } from "./options.js";

/** `fulmar repair DIR` */
export function addRepair(program: Command, io: Io): void {
  program
    .command("repair")
    .description("save what can be saved of a damaged store; keeps the files that were there")
    .argument("<dir>", "data directory")
    .option("--dry-run", "only say what would be saved and what is lost")
    .addOption(jsonOption())
    .action(async (directory: string, { json, dryRun }: { json?: true; dryRun?: true }) => {
      const report = await withProgress(io, (onProgress) =>
        repair(directory, { onProgress, dryRun: dryRun === true, ...withKeys(io) }),
      );
      await io.stdout.write(`${json ? JSON.stringify(report) : describe(report)}\n`);
    });
}

function describe(report: RepairReport): string {
  const { damaged, repaired, entries, version, keptIn, note } = report;
  const directory = oneLine(report.directory);
  const notes = note === undefined ? [] : [`note: ${oneLine(note)}`];
  if (!damaged) return [...notes, `${directory}: nothing to repair`].join("\n");
  const saved = `${entries} entries${repaired ? "" : " would be"} saved, up to version ${version}`;
  const kept = keptIn === undefined ? [] : [`the files that were there are in ${oneLine(keptIn)}`];
  const losses = describeFiles(report);
  const isWhole = report.files.every(({ lost }) => lost.length === 0);
  const nothing = isWhole ? ["lost: nothing, as far as the files tell"] : [];
  return [...notes, ...losses, ...nothing, ...kept, `${directory}: ${saved}`].join("\n");
}

/** One line for each part of a file that is lost, and one of what stood elsewhere. */
export function describeFiles({ files }: RepairReport): string[] {
  return files.flatMap(({ file, lost, foundInLog = 0 }) => {
    const losses = lost.map(({ offset, bytes, what, versions }) => {
      const size = bytes === 0 ? "" : ` (${bytes} bytes)`;
      const commits = versions === undefined ? "" : `, versions ${versions.from} to ${versions.to}`;
      return `lost: ${oneLine(`${file} at byte ${offset}: ${what}${size}${commits}`)}`;
    });
    if (foundInLog === 0) return losses;
    return [...losses, `found: ${foundInLog} entries that ${oneLine(file)} has lost, in the log`];
  });
}
