import type { FilesToRead } from "../base/runtime/interface.js";
import { OriginTable } from "../record/origins.js";
import { withFile } from "./files.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, segmentName, TEMPORARY } from "./layout.js";
import { readManifest } from "./manifest.js";
import { loadStore } from "./recovery.js";

/**
 * Reads a prepared store under its temporary names as an opening would, by the same code: what this accepts will be
 * opened. Rejects with CORRUPT or an error of the disk.
 */
export async function checkPrepared(runtime: DiskRuntime, layout: Layout, number: number): Promise<void> {
  const fileSystem = asCommitted(runtime, number);
  const { manifest } = await withFile(fileSystem, layout.manifest, "read", (handle) =>
    readManifest(runtime.checksum, handle),
  );
  const origins = new OriginTable();
  origins.intern(manifest.incarnation);
  const parts = { runtime: { ...runtime, fileSystem }, layout, engine: undefined, origins, options: {} };
  await loadStore(parts, manifest, manifest.incarnation);
}

/** The files as they will be when a prepared store has its names: no others are there, and nothing can be changed. */
function asCommitted({ fileSystem }: DiskRuntime, number: number): FilesToRead {
  return {
    open: (path, mode) => fileSystem.open(path + TEMPORARY, mode),
    status: (path) => fileSystem.status(path + TEMPORARY),
    // Of the directories only the log is listed.
    list: () => Promise.resolve([segmentName(number)]),
    join: (directory, name) => fileSystem.join(directory, name),
  };
}
