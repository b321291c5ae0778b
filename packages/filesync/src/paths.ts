import { refusal } from "./check.js";

/** Name of the directory in each mirrored tree that is the mirror's own: never scanned, never taken from peers. */
export const RESERVED_NAME = ".fulmar";
/** Longest name between two separators, in UTF-8 bytes: what common file systems allow. */
export const SEGMENT_BYTES_MAX = 255;
/** Longest path, in UTF-8 bytes: below the store's limit for keys and PATH_MAX. */
export const PATH_BYTES_MAX = 3000;

/** Most names in one path: every directory on the way is looked at, and for each of them those above it again. */
export const DEPTH_MAX = 100;

/** Why a path cannot be mirrored. */
export type PathFault =
  | "empty"
  | "too-long"
  | "too-deep"
  | "segment"
  | "separator"
  | "control"
  | "encoding"
  | "drive"
  | "reserved"
  | "windows-name";

const encoder = new TextEncoder();
const SURROGATE = /\p{Surrogate}/u;
/** Code points that some file systems drop when they compare names. */
const IGNORABLE = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
const WINDOWS_DEVICE =
  /^(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\..*)?$/i;
const WINDOWS_CHARACTERS = /[<>:"|?*]/;
const SHORT_NAME_OF_RESERVED = /^fulmar~\d+$/i;

/**
 * What is wrong with a relative POSIX path that comes from a peer or from the disk; undefined if it may
 * be joined to the root. It only admits: whatever is not known to be harmless is refused. Throws INVALID_ARGUMENT for
 * what is no string.
 */
export function pathFault(path: string, platform: NodeJS.Platform = process.platform): PathFault | undefined {
  if (typeof path !== "string" || typeof platform !== "string") {
    throw refusal("pathFault: path and platform must be strings");
  }
  if (path === "") return "empty";
  if (SURROGATE.test(path) || path.includes("\ufffd")) return "encoding";
  if (encoder.encode(path).length > PATH_BYTES_MAX) return "too-long";
  if (hasControl(path)) return "control";
  if (path.includes("\\")) return "separator";
  if (/^[a-z]:/i.test(path)) return "drive";
  const segments = path.split("/");
  if (segments.length > DEPTH_MAX) return "too-deep";
  for (const segment of segments) {
    const fault = segmentFault(segment, platform);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function segmentFault(segment: string, platform: NodeJS.Platform): PathFault | undefined {
  if (segment === "" || segment === "." || segment === "..") return "segment";
  if (encoder.encode(segment).length > SEGMENT_BYTES_MAX) return "too-long";
  const folded = segment.replace(IGNORABLE, "").toLowerCase();
  if (folded === RESERVED_NAME) return "reserved";
  if (platform !== "win32") return undefined;
  if (SHORT_NAME_OF_RESERVED.test(segment)) return "reserved";
  const forbidden = WINDOWS_DEVICE.test(segment) || WINDOWS_CHARACTERS.test(segment) || /[. ]$/.test(segment);
  return forbidden ? "windows-name" : undefined;
}

function hasControl(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}

/** The directory that a path lies in; "" for what lies in the root. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** The last segment. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of `name` in the directory `parent`, where "" is the root. */
export function childPath(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}
