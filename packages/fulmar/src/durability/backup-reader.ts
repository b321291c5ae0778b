import { FulmarError } from "../base/errors.js";
import { ADOPTED_NUMBERS_MAX } from "../base/limits.js";
import type { FileHandle } from "../base/runtime/interface.js";
import {
  CHECKPOINT_HEADER_BYTES,
  type CheckpointHeader,
  FOOTER_BYTES,
  isCheckpointMagic,
  olderCheckpointFormat,
  readCheckpointHeader,
} from "./checkpoint-format.js";
import { type CheckpointRead, type LoadTarget, readCheckpoint } from "./checkpoint-reader.js";
import { attempt, corrupt, formatNewer, formatOlder, readFully, withFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import type { CheckpointName } from "./manifest.js";

/** What the two ends of a backup say of it. */
export interface BackupHead {
  readonly header: CheckpointHeader;
  /** By which the rest of the file is checked, as the manifest does for a checkpoint. */
  readonly name: CheckpointName;
}

/** A backup, of whatever format, that is ready to be read. */
export interface ReadableBackup {
  readonly facts: Pick<
    CheckpointHeader,
    "storeId" | "incarnation" | "version" | "seq" | "hadPeers" | "compressed"
  >;
  /** Reads all of it, checking every byte. Rejects with CORRUPT. */
  read(target: LoadTarget): Promise<{ readonly entries: number }>;
}

/** The code that read backups of an older format, kept as it was: what it takes for damage it rejects with CORRUPT. */
export type OlderBackup = (runtime: DiskRuntime, path: string) => Promise<ReadableBackup>;

/** Readers of backups of older formats by their number. Format 1 is the first: there is none before it. */
export const OLDER_BACKUPS: ReadonlyMap<number, OlderBackup> = new Map();

/** Opens a backup of the present format, or of one of `older`. Rejects as {@link inspectBackup}. */
export async function openBackup(
  runtime: DiskRuntime,
  path: string,
  older: ReadonlyMap<number, OlderBackup>,
): Promise<ReadableBackup> {
  try {
    const head = await inspectBackup(runtime, path);
    return { facts: head.header, read: (target) => readBackup(runtime, path, head, target) };
  } catch (error) {
    if (!(error instanceof FulmarError) || error.code !== "FORMAT_OLDER") throw error;
    const open = older.get(Number(error.details.version));
    if (open === undefined) throw error;
    return open(runtime, path);
  }
}

/** Looks at the header of a backup. Rejects with PATH_UNUSABLE, NOT_A_STORE, FORMAT_NEWER, FORMAT_OLDER or CORRUPT. */
export async function inspectBackup(runtime: DiskRuntime, path: string): Promise<BackupHead> {
  const status = await attempt("look at", path, runtime.fileSystem.status(path));
  if (status?.kind !== "file") {
    throw new FulmarError("PATH_UNUSABLE", `${path} is no file, so no backup: check the path`, { path });
  }
  return withFile(runtime.fileSystem, path, "read", (handle) => readHead(runtime, handle, status.sizeBytes));
}

async function readHead(runtime: DiskRuntime, handle: FileHandle, sizeBytes: number): Promise<BackupHead> {
  const { path } = handle;
  const bytes = new Uint8Array(CHECKPOINT_HEADER_BYTES);
  const length = await readFully(handle, bytes, 0);
  if (!isCheckpointMagic(bytes)) throw notABackup(path, "it does not begin as one");
  const header = readCheckpointHeader(runtime.checksum, bytes.subarray(0, length));
  if (typeof header === "number") throw formatNewer(path, header);
  if (header === undefined) throw unreadable(runtime, path, bytes.subarray(0, length));
  if (!header.isBackup) throw notABackup(path, "it is a checkpoint, which needs the log of its store");
  const footer = new Uint8Array(FOOTER_BYTES);
  const from = Math.max(0, sizeBytes - FOOTER_BYTES);
  if ((await readFully(handle, footer, from)) < FOOTER_BYTES) throw corrupt(path, from, "it ends too early");
  const crc = runtime.checksum.crc32(footer, 0, FOOTER_BYTES, 0);
  return { header, name: { number: header.number, version: header.version, bytes: sizeBytes, crc } };
}

/** Reads all of a backup, checking every byte. Rejects as {@link inspectBackup}. */
export async function readBackup(
  runtime: DiskRuntime,
  path: string,
  head: BackupHead,
  target: LoadTarget,
): Promise<CheckpointRead> {
  const read = await readCheckpoint(runtime, path, head.name, head.header.storeId, target);
  const { version, seq } = head.header;
  const highest = Math.max(version, seq, target.found.hlc);
  if (highest > ADOPTED_NUMBERS_MAX) {
    throw corrupt(path, 0, `it holds the number ${highest}, which no store reaches`);
  }
  return read;
}

/** A backup of an older format is whole; only the code that reads it is not here. */
function unreadable(runtime: DiskRuntime, path: string, head: Uint8Array): FulmarError {
  const format = olderCheckpointFormat(runtime.checksum, head);
  if (format === undefined) return corrupt(path, 0, "its header is not valid");
  return formatOlder(
    path,
    format,
    "restore it with the version of Fulmar that wrote it, and open that with this one",
  );
}

function notABackup(path: string, why: string): FulmarError {
  return new FulmarError("NOT_A_STORE", `${path} is no backup of Fulmar: ${why}`, { path });
}
