import { codeOf } from "./errors.js";

/** What a shell script can branch on; each is explained in the README and by `fulmar help`. */
export const EXIT = {
  ok: 0,
  negative: 1,
  usage: 2,
  locked: 3,
  corrupt: 4,
  unusable: 5,
  failed: 6,
} as const;

/** One row for each exit code, for help and README. */
export const EXIT_CODES: readonly { readonly code: number; readonly meaning: string }[] = [
  { code: EXIT.ok, meaning: "done; also when the reader of the output went away" },
  { code: EXIT.negative, meaning: "the answer is no: key not found, or check found damage" },
  { code: EXIT.usage, meaning: "wrong arguments, or a key, value or line that cannot be stored" },
  { code: EXIT.locked, meaning: "another process holds the directory; the message names it" },
  { code: EXIT.corrupt, meaning: "stored bytes are damaged; nothing was changed" },
  {
    code: EXIT.unusable,
    meaning:
      "no store there that can be opened: missing, foreign, forbidden, too new, in the way, or without its key",
  },
  { code: EXIT.failed, meaning: "anything else: disk full, device error, a bug" },
];

const BY_ERROR: Readonly<Record<string, number>> = {
  KEY_NOT_FOUND: EXIT.negative,
  USAGE: EXIT.usage,
  INVALID_ARGUMENT: EXIT.usage,
  UNKNOWN_OPTION: EXIT.usage,
  INVALID_KEY: EXIT.usage,
  INVALID_VALUE: EXIT.usage,
  DUMP_INVALID: EXIT.usage,
  KEY_TOO_LARGE: EXIT.usage,
  VALUE_TOO_LARGE: EXIT.usage,
  COMMIT_TOO_LARGE: EXIT.usage,
  RESERVED_KEY: EXIT.usage,
  LOCKED: EXIT.locked,
  CORRUPT: EXIT.corrupt,
  PATH_UNUSABLE: EXIT.unusable,
  NOT_A_STORE: EXIT.unusable,
  ALREADY_EXISTS: EXIT.unusable,
  ACCESS_DENIED: EXIT.unusable,
  FORMAT_NEWER: EXIT.unusable,
  FORMAT_OLDER: EXIT.unusable,
  ENCRYPTION_KEY_MISSING: EXIT.unusable,
  ENCRYPTION_KEY_WRONG: EXIT.unusable,
};

/** The exit code for an error, by its `code`. */
export function exitCodeOf(error: unknown): number {
  return BY_ERROR[codeOf(error) ?? ""] ?? EXIT.failed;
}
