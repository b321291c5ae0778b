import type { Command } from "commander";
import { type RepairReport, repair, type VerifyReport, verify } from "fulmar";
import { EXIT } from "../exit-codes.js";
import type { Io } from "../io.js";
import { oneLine } from "../keys.js";
import { ProgressBar, withProgress } from "../progress.js";
import { isFile, requireStore, withKeys } from "../session.js";
import { jsonOption } from "./options.js";
import { describeFiles } from "./repair.js";

/** `fulmar check DIR`. Says through `answer` with which code to exit. */
export function addCheck(program: Command, io: Io, answer: (code: number) => void): void {
  program
    .command("check")
    .description("read every byte of a store or backup and verify it; changes nothing")
    .argument("<dir>", "data directory, or backup")
    .addOption(jsonOption())
    .action(async (directory: string, options: { json?: true }) => {
      const report = await verified(directory, io);
      if (isOfOtherVersion(report)) answer(EXIT.unusable);
      else if (!report.ok || hasDamagedHistory(report)) answer(EXIT.negative);
      const outlook = report.ok || report.kind === "backup" ? undefined : await outlookOf(directory, io);
      const whole = outlook === undefined ? report : { ...report, repair: outlook };
      await io.stdout.write(
        `${options.json ? JSON.stringify(whole) : describe(directory, report, outlook)}\n`,
      );
    });
}

async function verified(directory: string, io: Io): Promise<VerifyReport> {
  if (!(await isFile(directory))) await requireStore(directory);
  const progress = new ProgressBar(io.stderr);
  return verify(directory, {
    ...withKeys(io),
    onProgress: ({ phase, bytes, bytesTotal }) => progress.update(`checking ${phase}`, bytes, bytesTotal),
  }).finally(() => progress.clear());
}

/** What a repair would save; undefined when none is possible, as for files of a newer version. */
async function outlookOf(directory: string, io: Io): Promise<RepairReport | undefined> {
  return withProgress(io, (onProgress) =>
    repair(directory, { dryRun: true, onProgress, ...withKeys(io) }),
  ).catch(() => undefined);
}

function describe(directory: string, report: VerifyReport, outlook: RepairReport | undefined): string {
  const { ok, kind } = report;
  const findings = report.findings.map(({ severity, file, offset, message }) => {
    const place = offset === undefined ? file : `${file} at byte ${offset}`;
    return `${severity}: ${oneLine(`${place}: ${message}`)}`;
  });
  if (isOfOtherVersion(report)) {
    const verdict = "NOT CHECKED: another version of Fulmar wrote it, which can check it; that is no damage";
    return [...findings, `${oneLine(directory)}: ${verdict}`].join("\n");
  }
  const sound = hasDamagedHistory(report)
    ? "the history is damaged: only watches that resume are affected; nothing to repair"
    : "no damage found";
  const damaged =
    kind === "backup"
      ? "DAMAGED: nothing can be restored from it; make another one while the store is there"
      : "DAMAGED: restore a backup, start empty beside a peer, or run `fulmar repair`";
  const verdict = ok ? sound : damaged;
  const facts =
    kind === "backup"
      ? [`a backup: ${report.entries} entries of version ${report.version}`]
      : factsOf(report);
  const hope =
    outlook === undefined
      ? []
      : [`a repair would save ${outlook.entries} entries`, ...describeFiles(outlook)];
  return [...findings, ...facts, ...hope, `${oneLine(directory)}: ${verdict}`].join("\n");
}

/** No damage is seen in what this version cannot read, and a repair would refuse it. */
function isOfOtherVersion({ findings }: VerifyReport): boolean {
  return findings.some(({ code }) => code === "FORMAT_NEWER" || code === "FORMAT_OLDER");
}

function hasDamagedHistory({ findings }: VerifyReport): boolean {
  return findings.some(({ severity }) => severity === "history");
}

function factsOf(report: VerifyReport): string[] {
  const { clean, entries, commits, segments, checkpoint, version } = report;
  return [
    `${entries} entries, ${commits} commits in ${segments} log segments, version ${version}`,
    checkpoint === undefined
      ? "no checkpoint"
      : `checkpoint ${checkpoint.number}: ${checkpoint.entries} entries of version ${checkpoint.version}`,
    clean ? "closed in order" : "not closed in order: the next open recovers it",
  ];
}
