import { type Entry, keyToJson } from "fulmar";
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
