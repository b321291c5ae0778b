import type { FileSystem } from "../base/runtime/interface.js";
import { OriginTable } from "../record/origins.js";
import { withFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, segmentName, TEMPORARY } from "./layout.js";
import { readManifest } from "./manifest.js";
import { pathsOf } from "./new-store.js";
import { loadStore } from "./recovery.js";

/**
 * Reads a prepared store under its temporary names as an opening would, by the same code: what this accepts will be
 * opened. Rejects with CORRUPT or an error of the disk.
 */
export async function checkPrepared(runtime: DiskRuntime, layout: Layout, number: number): Promise<void> {
  const fileSystem = asCommitted(runtime, layout, number);
  const { manifest } = await withFile(fileSystem, layout.manifest, "read", (handle) =>
    readManifest(runtime.checksum, handle),
  );
  const origins = new OriginTable();
  origins.intern(manifest.incarnation);
  const parts = { runtime: { ...runtime, fileSystem }, layout, engine: undefined, origins, options: {} };
  await loadStore(parts, manifest, manifest.incarnation);
}

/** The files as they will be when a prepared store has its names. */
function asCommitted({ fileSystem }: DiskRuntime, layout: Layout, number: number): FileSystem {
  const renamed = new Set([...pathsOf(fileSystem, layout, number), layout.manifest]);
  const real = (path: string): string => (renamed.has(path) ? path + TEMPORARY : path);
  return {
    open: (path, mode) => fileSystem.open(real(path), mode),
    status: (path) => fileSystem.status(real(path)),
    list: (path) => (path === layout.log ? Promise.resolve([segmentName(number)]) : fileSystem.list(path)),
    makeDirectory: (path) => fileSystem.makeDirectory(path),
    rename: (from, to) => fileSystem.rename(from, to),
    remove: (path) => fileSystem.remove(path),
    syncDirectory: (path) => fileSystem.syncDirectory(path),
    realPath: (path) => fileSystem.realPath(path),
    join: (directory, name) => fileSystem.join(directory, name),
    parent: (path) => fileSystem.parent(path),
    lock: (directory) => fileSystem.lock(directory),
  };
}
