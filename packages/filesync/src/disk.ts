import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open } from "node:fs/promises";
import type { Kind } from "./model.js";

/** What tells one state of a file from another without reading it. Times in ns, as text. */
export interface Fingerprint {
  readonly size: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly ino: string;
  /** Permission bits. */
  readonly mode: number;
}

/** What stands at a path. `other`: a symbolic link, socket, device or pipe, which is never mirrored. */
export type DiskState = { readonly kind: "absent" } | { readonly kind: "other" } | PresentState;

export interface PresentState {
  readonly kind: Kind;
  readonly print: Fingerprint;
  readonly mtimeMs: number;
}

/** Where the system has no permission bits, everybody sees the usual ones. */
const HAS_MODES = process.platform !== "win32";

export function stateOf(stats: BigIntStats): DiskState {
  const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
  if (kind === "other") return { kind };
  return { kind, print: fingerprintOf(stats), mtimeMs: Number(stats.mtimeNs / 1_000_000n) };
}

export function fingerprintOf(stats: BigIntStats): Fingerprint {
  return {
    size: stats.isDirectory() ? 0 : Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    ino: String(stats.ino),
    mode: HAS_MODES ? Number(stats.mode & 0o777n) : stats.isDirectory() ? 0o755 : 0o644,
  };
}

/** Looks at a path without following a link at its end. */
export async function look(absolute: string): Promise<DiskState> {
  try {
    return stateOf(await lstat(absolute, { bigint: true }));
  } catch (error) {
    if (isMissing(error)) return { kind: "absent" };
    throw error;
  }
}

/** What a system or a user may not let sync, or what is gone since. */
const UNSYNCABLE: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EINVAL", "ENOTSUP"]);

/**
 * Makes content that is known, or names in a directory, outlast a power cut: else what it took would look like a change
 * by the user, newer than everything, and be taken in for everybody.
 */
export async function makeDurable(place: string | FileHandle): Promise<void> {
  try {
    if (typeof place !== "string") return await place.sync();
    const handle = await open(place, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!isMissing(error) && !UNSYNCABLE.has(systemCode(error))) throw error;
  }
}

/** Whether nothing happened to a file between two looks. */
export function samePrint(a: Fingerprint, b: Fingerprint): boolean {
  return (
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.ino === b.ino &&
    a.mode === b.mode
  );
}

export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
