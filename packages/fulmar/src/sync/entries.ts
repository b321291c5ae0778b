import { entryLength, originOf, setOrigin } from "../record/entry.js";
import type { OriginTable } from "../record/origins.js";
import type { Page } from "./protocol/messages.js";

/** So much of a message may be kept along with its entries, in bytes. */
const KEPT_ALONG_MAX = 1024;

/**
 * Numbers the entries of a decoded page by the store's dictionary, in place: the page belongs to the
 * receiver. Throws PROTOCOL_VIOLATION when the page names more origins than the store can know; better now
 * than when it is merged, where it would look like a failure of the store.
 */
export function localEntries(page: Page, origins: OriginTable): Uint8Array {
  const numbers = page.dictionary.map((origin) => origins.intern(origin));
  // A small part of a large message would hold all of it in memory, and be counted as small.
  const { bytes: sent } = page.entries;
  const bytes = sent.buffer.byteLength > 2 * sent.length + KEPT_ALONG_MAX ? sent.slice() : sent;
  for (let at = 0; at < bytes.length; at += entryLength(bytes, at)) {
    setOrigin(bytes, at, numbers[originOf(bytes, at) - 1]);
  }
  return bytes;
}
