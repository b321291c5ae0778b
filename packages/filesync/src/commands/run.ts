import { mkdir, readFile, realpath } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { open } from "fulmar";
import { replicate } from "fulmar/sync";
import { startMirror } from "../mirror.js";
import { EXIT_OK, EXIT_USAGE } from "./exit-codes.js";
import { type NodeReport, reportOf, textOf } from "./report.js";
import { stopRequest } from "./stop-request.js";

/** The arguments of `fulmar-filesync run`. */
export interface RunFlags {
  readonly dir: string;
  readonly data: string;
  readonly listen?: string;
  readonly peer: readonly string[];
  readonly secretFile?: string;
  readonly name?: string;
  readonly report: "text" | "json";
  readonly reportInterval: number;
  readonly rescanInterval: number;
  readonly untilStdinEnds?: boolean;
}

/** Mirrors a directory until asked to stop; returns the exit code. */
export async function run(flags: RunFlags): Promise<number> {
  const stop = stopRequest(flags.untilStdinEnds === true);
  try {
    return await mirrorUntil(stop.asked, flags);
  } finally {
    stop.release();
  }
}

async function mirrorUntil(stop: Promise<void>, flags: RunFlags): Promise<number> {
  await mkdir(flags.dir, { recursive: true });
  await mkdir(flags.data, { recursive: true });
  const problem = nestingProblem(await realpath(flags.dir), await realpath(flags.data));
  if (problem !== undefined) {
    process.stderr.write(`fulmar-filesync run: ${problem}\n`);
    return EXIT_USAGE;
  }
  const secret = await readSecret(flags.secretFile);
  const name = flags.name ?? `${process.pid}`;
  await using store = await open<Uint8Array>(join(flags.data, "store"), { codec: "bytes", name });
  await using index = await open<Uint8Array>(join(flags.data, "index"), {
    codec: "bytes",
    durability: "relaxed",
  });
  const replicator = await replicate(store, {
    name,
    peers: [...flags.peer],
    ...(flags.listen === undefined ? {} : { listen: flags.listen }),
    ...(secret === undefined ? {} : { secret }),
  });
  try {
    await using mirror = await startMirror({
      directory: flags.dir,
      store,
      index,
      rescanIntervalMs: flags.rescanInterval,
    });
    const print = (): void => printReport(flags.report, reportOf(name, store, replicator, mirror.status()));
    print();
    const timer = setInterval(print, flags.reportInterval);
    await stop;
    clearInterval(timer);
  } finally {
    await replicator.close();
  }
  return EXIT_OK;
}

function printReport(format: "text" | "json", report: NodeReport): void {
  process.stdout.write(`${format === "json" ? JSON.stringify(report) : textOf(report)}\n`);
}

/** The store must not mirror itself. */
function nestingProblem(directory: string, data: string): string | undefined {
  const inside = (a: string, b: string): boolean => a === b || a.startsWith(b + sep);
  if (!inside(data, directory) && !inside(directory, data)) return undefined;
  return `--data (${resolve(data)}) and --dir (${resolve(directory)}) must not lie in each other`;
}

async function readSecret(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return process.env.FULMAR_SECRET;
  const secret = (await readFile(file, "utf8")).trim();
  if (secret === "") throw new Error(`the secret file ${file} is empty`);
  return secret;
}
