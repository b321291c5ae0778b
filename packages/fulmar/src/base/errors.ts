/**
 * The catalogue of error codes: stable across major versions, while messages may change.
 * `docs/errors/README.md` repeats this table; a test compares the two.
 */
export const ERROR_CATALOGUE = {
  // Misuse: the calling program is wrong. Thrown as TypeError, RangeError or, by when it is called, FulmarError.
  INVALID_ARGUMENT: "An argument has the wrong type or an impossible value.",
  UNKNOWN_OPTION: "An options object has a member that this version does not know.",
  INVALID_KEY: "A key is of a kind that cannot be a key, or holds NaN or a lone surrogate.",
  INVALID_VALUE: "The codec cannot encode this value, or cannot decode what is stored.",
  KEY_TOO_LARGE: "The encoded key is longer than the limit `keyBytesMax`.",
  VALUE_TOO_LARGE: "The encoded value is longer than the limit `valueBytesMax`.",
  COMMIT_TOO_LARGE: "One batch holds more entries or bytes than a commit may.",
  SCHEMA_MISMATCH: "A value is not what the schema of its namespace asks for.",
  SCHEMA_ASYNC: "The schema of a namespace validates asynchronously, for which a write cannot wait.",
  NOT_AN_INTEGER: "An increment meets something that is neither an integer below 2^53 nor a bigint.",
  INTEGER_OVERFLOW: "An increment leaves the integers below 2^53.",
  NESTED_TRANSACTION: "A transaction was begun inside the function of another one.",
  REENTRANT: "A codec, a schema or a `toJSON` tried to change the store that had called it.",
  TRANSACTION_ENDED: "A transaction was used after its function had returned, or after it was ended.",
  TRANSACTION_TOO_LARGE: "One transaction reads or writes more keys and ranges than it may.",
  RESERVED_KEY: "The key lies in the range that the store keeps for its own data.",
  // The state of the store.
  CLOSED: "The store, snapshot or replicator is closed.",
  LOCKED: "Another process, or this one, holds the data directory.",
  STORE_FAILED: "An earlier failure made the store read-only; reopen it to recover.",
  DURABILITY_UNKNOWN: "A sync failed: whether the commit survives is decided at the next open.",
  CONFLICT:
    "What a transaction read was changed by another commit, or expired; nothing of it was done. Run it again.",
  ROLLED_BACK: "The log refused this commit, or one before it that it stands on; nothing of it remains.",
  REVOKED: "The store took back what a reader on another thread was reading or staying at.",
  COMPACTED: "The commits behind the version that a watch resumes from are not kept any more: read again.",
  ABORTED: "The caller's AbortSignal ended the wait.",
  TIMEOUT: "What was waited for did not happen within the given time.",
  MEMORY_FULL: "The write does not fit into `maxMemory`, or into a store at all; nothing was changed.",
  EVICTION_WITH_PEERS: "A store that evicts cannot replicate: an eviction would be a deletion for everybody.",
  INVARIANT: "A bug in Fulmar: an internal invariant does not hold.",
  // The disk.
  DISK_FULL: "The disk or a quota is full; the commit was taken back and nothing was lost.",
  ACCESS_DENIED: "The process may not read or write a file or directory that it needs.",
  IO_ERROR: "The operating system reported an error of the storage device.",
  ALREADY_EXISTS: "Something is where a new file or directory was to be written; it was not touched.",
  PATH_UNUSABLE: "The path leads to nothing of the kind needed: a file for a directory, or nothing at all.",
  NOT_A_STORE: "What is there is something else's, a store without its manifest, or an unfinished restore.",
  DIRECTORY_LOST:
    "Files of the directory were removed, moved or replaced while the store had it open; it writes no more.",
  CORRUPT: "Stored bytes fail their checksum or contradict each other; nothing was changed.",
  DUMP_INVALID: "A line of a dump is not what it should be; the lines before it are stored.",
  FORMAT_NEWER: "A newer version of Fulmar wrote these files.",
  ENCRYPTION_KEY_MISSING: "A file is encrypted under a key that was not given; nothing was changed.",
  ENCRYPTION_KEY_WRONG:
    "A file is encrypted under another key than the one given for it; nothing was changed.",
  NOT_ENCRYPTED: "A file is not encrypted, and only encrypted ones are to be accepted; nothing was changed.",
  FORMAT_OLDER: "An older version of Fulmar wrote these files, in a format that is not read here.",
  // Peers.
  ADDRESS_IN_USE: "Another program listens on this address.",
  ADDRESS_INVALID: "The address cannot be parsed, resolved or listened on.",
  INSECURE_LISTEN: "Listening beyond loopback needs a secret.",
  AUTHENTICATION_FAILED: "The peer does not know the cluster's secret.",
  PROTOCOL_VERSION: "The peer speaks no protocol version in common with this one.",
  PROTOCOL_VIOLATION: "The peer sent bytes that the protocol does not allow.",
  CONNECTION_LOST: "The connection to the peer ended or could not be made.",
  DUPLICATE_PEER: "The peer is this node itself, or connected already.",
} as const;

/** One of the stable codes of {@link ERROR_CATALOGUE}. */
export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** Facts that go with an error, for programs; keys are stable for a code, messages are not. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** Any failure of the store that is not the calling program's mistake. Look at `code`. */
export class FulmarError extends Error {
  override readonly name: string = "FulmarError";
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  constructor(code: ErrorCode, message: string, details: ErrorDetails & { cause?: unknown } = {}) {
    const { cause, ...rest } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = rest;
  }
}

/** Misuse: wrong kind of argument. A `TypeError` that also carries a `code`. */
export class FulmarTypeError extends TypeError {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Misuse: an argument beyond a limit. A `RangeError` that also carries a `code`. */
export class FulmarRangeError extends RangeError {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The `code` of any error that has one; undefined for others. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** What V8 and JavaScriptCore say without memory for a buffer; the end of the stack is a `RangeError`, too. */
const NO_MEMORY: ReadonlySet<string> = new Set(["Array buffer allocation failed", "Out of memory"]);

/** Whether something was thrown because there is no memory for a buffer, or a store may have no more of it. */
export function isNoMemory(error: unknown): boolean {
  if (error instanceof FulmarError) return error.code === "MEMORY_FULL";
  return error instanceof RangeError && NO_MEMORY.has(error.message);
}

const TOO_MANY_FILES = "too many files are open: close some, or raise the limit (ulimit -n)";

/** What to do where it is not what helps with most errors of the same code. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ["EFBIG", "raise the limit for the size of files (ulimit -f), or use another file system"],
  [
    "EROFS",
    "the file system is read-only: mount it for writing, or copy the directory elsewhere and open the copy",
  ],
  [
    "ERR_ACCESS_DENIED",
    "Node's permission model forbids it, and lets nobody sync a file: run a store with a directory without it",
  ],
  ["EISDIR", "a directory is where a file belongs: move it elsewhere"],
  ["EMFILE", TOO_MANY_FILES],
  ["ENFILE", TOO_MANY_FILES],
]);

/** Turns an error of the file system (ENOSPC, EACCES, ...) into one of the catalogue. */
export function fileError(cause: unknown, action: string, path: string): FulmarError {
  if (cause instanceof FulmarError) return cause;
  const system = codeOf(cause) ?? "unknown error";
  const details = { path, system, cause };
  const remedy = REMEDIES.get(system);
  const added = remedy === undefined ? "" : `: ${remedy}`;
  switch (system) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return new FulmarError(
        "DISK_FULL",
        `no space to ${action} ${path} (${system}): ${remedy ?? "free some space"}`,
        details,
      );
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ERR_ACCESS_DENIED":
      return new FulmarError(
        "ACCESS_DENIED",
        `not allowed to ${action} ${path} (${system}): ${remedy ?? "check owner and mode"}`,
        details,
      );
    case "EISDIR":
    case "ENOTDIR":
    case "ENAMETOOLONG":
    // Node's own, for a NUL in a path.
    case "ERR_INVALID_ARG_VALUE":
      return new FulmarError("PATH_UNUSABLE", `cannot ${action} ${path} (${system})${added}`, details);
    default:
      return new FulmarError("IO_ERROR", `cannot ${action} ${path} (${system})${added}`, details);
  }
}
