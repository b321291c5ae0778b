import type { Key } from "fulmar";

/** How a tree lies in the store: `["file", path]` holds a {@link FileMeta}, `["chunk", writeId, index]` content. */
export const FILES: Key = ["file"];
export const CHUNKS: Key = ["chunk"];
/** Content is cut into pieces of this size, in bytes. */
export const CHUNK_BYTES = 256 * 1024;
/** Limits of what is believed of a peer's metadata. */
export const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
const CHUNK_COUNT_MAX = 2 ** 24;
const META_BYTES_MAX = 16 * 1024;
/** Earlier writes that a write names as replaced. */
export const REPLACES_MAX = 8;

export type Kind = "file" | "directory";

/** One file or directory as it is mirrored. */
export interface FileMeta {
  readonly kind: Kind;
  readonly size: number;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  readonly mtimeMs: number;
  /** Names this write and its chunks; never used for another. */
  readonly writeId: string;
  /** The writes that this one knew of and replaced, latest first. */
  readonly replaces: readonly string[];
  readonly chunks: number;
  readonly chunkBytes: number;
  /** Of the content, 64 hexadecimal digits; empty for a directory. */
  readonly sha256: string;
}

const WRITE_ID = /^[0-9a-f]{8,32}-[0-9a-f]{16,64}$/;
const SHA256 = /^[0-9a-f]{64}$/;
const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

export function fileKey(path: string): Key {
  return ["file", path];
}

export function chunkKey(writeId: string, index: number): Key {
  return ["chunk", writeId, index];
}

/** The path in a key of {@link FILES}; undefined for keys of another shape. */
export function pathOfKey(key: Key): string | undefined {
  if (!Array.isArray(key) || key.length !== 2 || key[0] !== "file") return undefined;
  return typeof key[1] === "string" ? key[1] : undefined;
}

/** The write in a key of {@link CHUNKS}; undefined for keys of another shape. */
export function writeOfKey(key: Key): string | undefined {
  if (!Array.isArray(key) || key.length !== 3 || key[0] !== "chunk") return undefined;
  return typeof key[1] === "string" ? key[1] : undefined;
}

export function chunkCount(size: number, chunkBytes: number): number {
  return Math.ceil(size / chunkBytes);
}

export function encodeMeta(meta: FileMeta): Uint8Array {
  return encoder.encode(JSON.stringify(meta));
}

/** Reads metadata, which may come from anybody: undefined unless every field is possible. */
export function decodeMeta(bytes: Uint8Array | undefined): FileMeta | undefined {
  if (bytes === undefined || bytes.length > META_BYTES_MAX) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const meta = value as Partial<Record<keyof FileMeta, unknown>>;
  if (!isCommonPart(meta)) return undefined;
  const possible = meta.kind === "file" ? isFileContent(meta) : isDirectoryContent(meta);
  return possible ? (meta as unknown as FileMeta) : undefined;
}

type Unchecked = Partial<Record<keyof FileMeta, unknown>>;

function isCommonPart(meta: Unchecked): boolean {
  return (
    isWhole(meta.mode, 0o777) &&
    typeof meta.mtimeMs === "number" &&
    Math.abs(meta.mtimeMs) < 8.64e15 &&
    isWriteId(meta.writeId) &&
    Array.isArray(meta.replaces) &&
    meta.replaces.length <= REPLACES_MAX &&
    meta.replaces.every(isWriteId)
  );
}

function isFileContent({ size, chunks, chunkBytes, sha256 }: Unchecked): boolean {
  if (!isWhole(size, Number.MAX_SAFE_INTEGER) || !isWhole(chunks, CHUNK_COUNT_MAX)) return false;
  if (!isWhole(chunkBytes, CHUNK_BYTES_MAX) || chunkBytes === 0) return false;
  return chunks === chunkCount(size, chunkBytes) && typeof sha256 === "string" && SHA256.test(sha256);
}

function isDirectoryContent({ kind, size, chunks, sha256 }: Unchecked): boolean {
  return kind === "directory" && size === 0 && chunks === 0 && sha256 === "";
}

function isWhole(value: unknown, max: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max;
}

export function isWriteId(value: unknown): value is string {
  return typeof value === "string" && WRITE_ID.test(value);
}

/** Whether disk and store agree about everything that is mirrored. */
export function sameContent(
  a: Pick<FileMeta, "kind" | "mode" | "sha256">,
  b: Pick<FileMeta, "kind" | "mode" | "sha256">,
): boolean {
  return a.kind === b.kind && a.mode === b.mode && a.sha256 === b.sha256;
}
