/** A failure that only the command line knows: it has a code like those of the library. */
export class CommandError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The `code` of any error that has one, ours, the library's or the system's. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What is printed of an error; the object that `--json` prints. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const HINTS: Readonly<Record<string, string>> = {
  USAGE: "run `fulmar help` or `fulmar help COMMAND`",
  INVALID_KEY:
    'with --key-json a key is JSON: a string, number, boolean, array, {"bytes":"<base64>"} or {"bigint":"12"}',
  INVALID_VALUE: "choose the codec that the store is written with: --codec json, text, bytes or bigint",
  LOCKED: "close the store in that process, or stop the process, and try again",
  ALREADY_EXISTS: "choose another name: nothing is ever overwritten",
  CORRUPT: "run `fulmar check DIR`, then restore a backup, or save the rest with `fulmar repair DIR`",
  PATH_UNUSABLE: "check the path; `set` and `load` make a new store where none is with --create",
  NOT_A_STORE: "check the path; `set` and `load` make a new store in an empty directory with --create",
  ACCESS_DENIED: "run as the user that owns the directory, or change its mode",
  FORMAT_NEWER: "use the version of fulmar that wrote it, or a later one",
  ENCRYPTION_KEY_MISSING: "give the key with --key-file PATH, or in the variable FULMAR_KEY",
  ENCRYPTION_KEY_WRONG: "give the right key with --key-file PATH, former ones with --key-file too",
  DUMP_INVALID: "the lines before it are stored; correct it and load the rest, or all of it again",
  DISK_FULL: "free some space and try again; nothing was lost",
  DURABILITY_UNKNOWN: "read the key to see whether the write survived, and look at the device",
  DIRECTORY_LOST:
    "look who removes, moves or replaces files of the directory; restore a backup if they are gone",
  INVARIANT: "this is a bug: please report it with the message and a copy of the directory",
};

/** Errors of the system that need something else than most of their code: what that is stands in the message. */
const SAID_BY_MESSAGE: ReadonlySet<string> = new Set(["EFBIG", "EROFS", "EMFILE", "ENFILE"]);

/** Of an interrupted repair the message tells whether another one helps. */
const MARK_OF_REPAIR = /[/\\]REPAIRING$/;

/** Turns anything thrown into what a person and a program need to know. */
export function reportOf(error: unknown): ErrorReport {
  const code = codeOf(error) ?? "UNEXPECTED";
  const message = error instanceof Error ? error.message : String(error);
  const details = detailsOf(error);
  const hint = saysWhatToDo(details) ? undefined : HINTS[code];
  return { code, message, ...(hint !== undefined && { hint }), ...(details !== undefined && { details }) };
}

function saysWhatToDo(details: ErrorReport["details"]): boolean {
  if (SAID_BY_MESSAGE.has(String(details?.system))) return true;
  return MARK_OF_REPAIR.test(String(details?.file));
}

function detailsOf(error: unknown): Record<string, unknown> | undefined {
  if (typeof error !== "object" || error === null || !("details" in error)) return undefined;
  const details = error.details;
  if (typeof details !== "object" || details === null || Object.keys(details).length === 0) return undefined;
  return { ...details };
}

/** The lines that a person reads on stderr. */
export function describeReport(report: ErrorReport): string {
  const pid = report.details?.pid;
  const holder = pid !== undefined && !report.message.includes(String(pid)) ? ` (process ${pid})` : "";
  const next = report.hint === undefined ? "" : `  ${report.hint}\n`;
  return `fulmar: ${report.message}${holder} [${report.code}]\n${next}`;
}
