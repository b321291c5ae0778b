import { codeOf, type FulmarError } from "../base/errors.js";
import type { RepairReport } from "./care-types.js";
import { attempt, corrupt, readFully, withFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { checkpointName, isFileName, isKeptName, type Layout, segmentName, TEMPORARY } from "./layout.js";
import { type Manifest, readManifest } from "./manifest.js";
import { listIfThere } from "./salvage.js";

/** What a repair reported, beside the old files. */
export const REPORT = "REPORT.json";
/** Another repair cannot help, and without the mark one would take only what has not been moved yet. */
const MARK_REMEDY =
  "nothing was changed, old and new files are in the directory still; restore a backup, or copy from a peer";

/** What has been begun. Names no path: the directory may be elsewhere when it is completed. */
export interface Mark {
  /** Name of the directory that the old files go to. */
  readonly keptIn: string;
  /** Number of the new files. */
  readonly number: number;
}

/**
 * What an interrupted repair in this directory had begun; undefined if there was none. Rejects with CORRUPT when that
 * cannot be told.
 */
export async function readMark(runtime: DiskRuntime, layout: Layout): Promise<Mark | undefined> {
  const { fileSystem } = runtime;
  const path = layout.repairing;
  if ((await attempt("look at", path, fileSystem.status(path))) === undefined) return undefined;
  const manifest = await newManifest(runtime, layout);
  if (manifest === undefined) throw notAMark(layout);
  const mark = await readJson<Partial<Record<keyof Mark, unknown>>>(runtime, path);
  const { keptIn, number } = mark ?? {};
  // A damaged mark can still look like one, and by another number the new files would be moved aside with the old ones.
  const leads = typeof keptIn === "string" && isKeptName(keptIn) && number === manifest.firstSegment;
  if (leads && (await agrees(runtime, layout, keptIn, manifest))) return { keptIn, number };
  const made = await madeAgain(runtime, layout, manifest);
  if (made === undefined) throw notAMark(layout);
  return made;
}

/** Whether there is a report, and none of another repair: one that is damaged says nothing against a mark. */
async function agrees(
  runtime: DiskRuntime,
  layout: Layout,
  keptIn: string,
  manifest: Manifest,
): Promise<boolean> {
  const path = reportIn(runtime, layout, keptIn);
  if ((await attempt("look at", path, runtime.fileSystem.status(path))) === undefined) return false;
  const report = await readReport(runtime, layout, keptIn);
  return report === undefined || isOf(report, manifest);
}

function notAMark({ repairing }: Layout): FulmarError {
  return corrupt(repairing, 0, "it is not what an interrupted repair left", MARK_REMEDY);
}

export function notAReport(runtime: DiskRuntime, layout: Layout, { keptIn }: Mark): FulmarError {
  const path = reportIn(runtime, layout, keptIn);
  return corrupt(
    path,
    0,
    "it is no report of a repair",
    'no file needs it; "fulmar check" tells of the rest',
  );
}

function reportIn({ fileSystem }: DiskRuntime, layout: Layout, keptIn: string): string {
  return fileSystem.join(fileSystem.join(layout.root, keptIn), REPORT);
}

/** What the repair that moves files to `keptIn` reported; undefined if that cannot be read. */
export function readReport(
  runtime: DiskRuntime,
  layout: Layout,
  keptIn: string,
): Promise<RepairReport | undefined> {
  return readJson(runtime, reportIn(runtime, layout, keptIn));
}

/**
 * The mark, from what was durable before it: the new manifest and the report. Only where nothing else can be meant,
 * because files that are moved to where others are take their place.
 */
async function madeAgain(
  runtime: DiskRuntime,
  layout: Layout,
  manifest: Manifest,
): Promise<Mark | undefined> {
  const { fileSystem } = runtime;
  const { clean, checkpoint, firstSegment: number, synced } = manifest;
  // No manifest looks like this once its store was opened.
  if (!clean || checkpoint.number !== number || synced.segment !== number) return undefined;
  const names = await attempt("list", layout.root, fileSystem.list(layout.root));
  if (!names.includes(`MANIFEST${TEMPORARY}`) && !(await isComplete(runtime, layout, number)))
    return undefined;
  const fitting: string[] = [];
  for (const name of names.filter(isKeptName)) {
    const report = await readReport(runtime, layout, name);
    if (report === undefined) return undefined;
    if (isOf(report, manifest)) fitting.push(name);
  }
  return fitting.length === 1 ? { keptIn: fitting[0], number } : undefined;
}

/** Whether a report is that of the repair that wrote this manifest. */
function isOf(report: RepairReport, { incarnation, checkpoint }: Manifest): boolean {
  return report.incarnation === incarnation && Math.max(1, report.version) === checkpoint.version;
}

/** The new manifest gets its name last: then the new files have theirs, and no old one is beside them. */
async function isComplete(runtime: DiskRuntime, layout: Layout, number: number): Promise<boolean> {
  const [log, checkpoints] = [layout.log, layout.checkpoints].map((path) => listIfThere(runtime, path));
  const there = [...(await log), ...(await checkpoints)].filter(isFileName);
  return there.join() === [segmentName(number), checkpointName(number)].join();
}

/** The manifest that the repair wrote, which says which files are the new ones; undefined if it is not to be read. */
async function newManifest(runtime: DiskRuntime, layout: Layout): Promise<Manifest | undefined> {
  const { fileSystem, checksum } = runtime;
  const pending = layout.manifest + TEMPORARY;
  const isPending = (await attempt("look at", pending, fileSystem.status(pending))) !== undefined;
  return ifSound(runtime, isPending ? pending : layout.manifest, async (path) => {
    const read = await withFile(fileSystem, path, "read", (handle) => readManifest(checksum, handle));
    return read.manifest;
  });
}

/** Reads back what was written as JSON. */
async function readJson<T>(runtime: DiskRuntime, path: string): Promise<T | undefined> {
  const text = await ifSound(runtime, path, () =>
    withFile(runtime.fileSystem, path, "read", async (handle) => {
      const bytes = new Uint8Array(await attempt("look at", path, handle.size()));
      await readFully(handle, bytes, 0);
      return new TextDecoder().decode(bytes);
    }),
  );
  try {
    return (JSON.parse(text ?? "null") as T | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where there is no such file, or a damaged one. */
async function ifSound<T>(
  { fileSystem }: DiskRuntime,
  path: string,
  read: (path: string) => Promise<T>,
): Promise<T | undefined> {
  if ((await attempt("look at", path, fileSystem.status(path)))?.kind !== "file") return undefined;
  try {
    return await read(path);
  } catch (error) {
    if (codeOf(error) === "CORRUPT") return undefined;
    throw error;
  }
}
