import { entryLength, originOf, setOrigin } from "../record/entry.js";
import type { OriginTable } from "../record/origins.js";
import type { Page } from "./protocol/messages.js";

/** Numbers the entries of a decoded page by the store's dictionary, in place: the page belongs to the receiver. */
export function localEntries(page: Page, origins: OriginTable): Uint8Array {
  const { bytes } = page.entries;
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += entryLength(bytes, at)) {
    const theirs = originOf(bytes, at);
    numbers[theirs] ??= origins.intern(page.dictionary[theirs - 1]);
    setOrigin(bytes, at, numbers[theirs]);
  }
  return bytes;
}
