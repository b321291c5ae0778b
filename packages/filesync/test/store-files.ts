import { createHash, randomBytes } from "node:crypto";
import { chunkCount, chunkKey, encodeMeta, type FileMeta, fileKey } from "../src/model.js";
import type { BytesStore } from "./harness.js";

/** Metadata as another node would have written it. */
export function fileMeta(content: string | Uint8Array, chunkBytes = 1000): FileMeta {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return {
    kind: "file",
    size: bytes.length,
    mode: 0o644,
    mtimeMs: 1_600_000_000_000,
    writeId: `00000000-${randomBytes(12).toString("hex")}`,
    replaces: [],
    chunks: chunkCount(bytes.length, chunkBytes),
    chunkBytes,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** Puts a file into the store directly, as a peer's commit would. */
export async function putFile(store: BytesStore, path: string, content: string): Promise<FileMeta> {
  const meta = fileMeta(content);
  const bytes = new TextEncoder().encode(content);
  for (let i = 0; i < meta.chunks; i++) await putChunk(store, meta, i, bytes);
  await store.set(fileKey(path), encodeMeta(meta));
  return meta;
}

export async function putChunk(
  store: BytesStore,
  meta: FileMeta,
  index: number,
  bytes: Uint8Array,
): Promise<void> {
  const from = index * meta.chunkBytes;
  await store.set(chunkKey(meta.writeId, index), bytes.slice(from, from + meta.chunkBytes));
}
