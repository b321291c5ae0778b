import type { Hash } from "node:crypto";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Fingerprint } from "./disk.js";
import { fingerprintOf, isMissing, look, samePrint, systemCode } from "./disk.js";

/** The file changed, or went away, while it was being read: what was read is worth nothing. */
export class ChangedWhileRead extends Error {
  override readonly name = "ChangedWhileRead";
}

/** Never through a link at the end of the path, and never waiting at a pipe that took the file's place. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** A file that is open for reading, and what it looked like then. */
export interface Opened {
  readonly handle: FileHandle;
  readonly print: Fingerprint;
  readonly mtimeMs: number;
  /** Wall ms just before the look. */
  readonly checkedAtMs: number;
}

/** Opens a file, lets `read` read it, and makes sure that nothing changed meanwhile. */
export async function readStable<T>(absolute: string, read: (file: Opened) => Promise<T>): Promise<T> {
  const handle = await openFile(absolute);
  try {
    const checkedAtMs = Date.now();
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) throw new ChangedWhileRead();
    const print = fingerprintOf(stats);
    const result = await read({ handle, print, mtimeMs: Number(stats.mtimeNs / 1_000_000n), checkedAtMs });
    await assertStable(absolute, print);
    return result;
  } finally {
    await handle.close();
  }
}

/** Throws {@link ChangedWhileRead} unless the path still leads to the same, unchanged file. */
export async function assertStable(absolute: string, print: Fingerprint): Promise<void> {
  const now = await look(absolute);
  if (now.kind !== "file" || !samePrint(now.print, print)) throw new ChangedWhileRead();
}

async function openFile(absolute: string): Promise<FileHandle> {
  try {
    return await open(absolute, READ_ONLY);
  } catch (error) {
    const code = systemCode(error);
    if (isMissing(error) || code === "ELOOP" || code === "EISDIR" || code === "ENXIO")
      throw new ChangedWhileRead();
    throw error;
  }
}

/** The content in pieces of `chunkBytes`, each in memory of its own; the last may be shorter. */
export async function* piecesOf({ handle, print }: Opened, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < print.size; position += chunkBytes) {
    const piece = new Uint8Array(Math.min(chunkBytes, print.size - position));
    for (let filled = 0; filled < piece.length; ) {
      const { bytesRead } = await handle.read(piece, filled, piece.length - filled, position + filled);
      if (bytesRead === 0) throw new ChangedWhileRead();
      filled += bytesRead;
    }
    yield piece;
  }
}

export async function hashOf(file: Opened, chunkBytes: number): Promise<string> {
  const hash = newHash();
  for await (const piece of piecesOf(file, chunkBytes)) hash.update(piece);
  return hash.digest("hex");
}

export function newHash(): Hash {
  return createHash("sha256");
}
