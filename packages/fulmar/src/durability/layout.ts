import type { FileSystem } from "../base/runtime/interface.js";

/** Suffix of files that are being written: never read, removed at the next open. */
export const TEMPORARY = ".tmp";

const SEGMENT_NAME = /^(\d{12,15})\.log$/;
const CHECKPOINT_NAME = /^(\d{12,15})$/;

/** Stands in the root of a directory that is being restored, until its manifest stands. */
const RESTORING = "RESTORING";
/** Stands in the root of a directory whose files a repair is exchanging. */
const REPAIRING = "REPAIRING";
const KEPT_NAME = /^damaged-\d{1,9}$/;

/** Where the parts of a data directory are. */
export interface Layout {
  readonly root: string;
  readonly manifest: string;
  /** The mark of a restore that is not complete. */
  readonly restoring: string;
  /** The mark of a repair that is not complete. */
  readonly repairing: string;
  readonly log: string;
  readonly checkpoints: string;
}

export function layoutOf(fileSystem: FileSystem, root: string): Layout {
  return {
    root,
    manifest: fileSystem.join(root, "MANIFEST"),
    restoring: fileSystem.join(root, RESTORING),
    repairing: fileSystem.join(root, REPAIRING),
    log: fileSystem.join(root, "log"),
    checkpoints: fileSystem.join(root, "checkpoint"),
  };
}

const ROOT_FILES = ["MANIFEST", RESTORING, REPAIRING].flatMap((name) => [name, name + TEMPORARY]);

/** Whether a name in the root directory is that of a file that this program writes, but for its lock. */
export function isRootFileName(name: string): boolean {
  return ROOT_FILES.includes(name);
}

/** Whether a name in the root directory is one that this program writes. */
export function isRootName(name: string): boolean {
  const isDirectory = isKeptName(name) || name === "log" || name === "checkpoint";
  return isDirectory || isRootFileName(name) || name.startsWith("LOCK");
}

/** The name of the directory for the old files of the repair of this number. */
export function keptName(number: number): string {
  return `damaged-${number}`;
}

export function isKeptName(name: string): boolean {
  return KEPT_NAME.test(name);
}

export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.log`;
}

export function checkpointName(number: number): string {
  return String(number).padStart(12, "0");
}

/** The number in a segment's name; undefined for other names. */
export function segmentNumber(name: string): number | undefined {
  return numberIn(SEGMENT_NAME, name);
}

export function checkpointNumber(name: string): number | undefined {
  return numberIn(CHECKPOINT_NAME, name);
}

/** The numbers of all segments and checkpoints among some names. */
export function numbersIn(names: readonly string[]): number[] {
  return names
    .map((name) => segmentNumber(name) ?? checkpointNumber(name))
    .filter((number) => number !== undefined);
}

/** Whether a name is that of a segment or checkpoint, finished or not. */
export function isFileName(name: string): boolean {
  return numbersIn([name]).length > 0 || isTemporary(name);
}

/** Whether a name is that of a segment or checkpoint that was never finished. */
export function isTemporary(name: string): boolean {
  if (!name.endsWith(TEMPORARY)) return false;
  const finished = name.slice(0, -TEMPORARY.length);
  return segmentNumber(finished) !== undefined || checkpointNumber(finished) !== undefined;
}

function numberIn(pattern: RegExp, name: string): number | undefined {
  const digits = pattern.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  // One file, one name: a number padded differently is a stranger.
  return number > 0 && digits === String(number).padStart(12, "0") ? number : undefined;
}
