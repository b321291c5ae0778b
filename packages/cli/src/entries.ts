import type { Entry } from "fulmar";
import { keyToJson } from "./keys.js";
import { valueToJson } from "./values.js";

/** An entry as `--json` prints it; `value` is base64 with --codec bytes. */
export function entryToJson(entry: Entry<unknown>): object {
  return {
    key: keyToJson(entry.key),
    value: valueToJson(entry.value),
    version: entry.version,
    stamp: entry.stamp,
    ...(entry.expiresAt !== undefined && { expiresAt: entry.expiresAt }),
  };
}
