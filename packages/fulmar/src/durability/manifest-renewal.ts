import { codeOf } from "../base/errors.js";
import type { FileHandle } from "../base/runtime/interface.js";
import { attempt, openFile, removeFile, syncDirectory, syncFile } from "./files.js";
import { fillManifest } from "./first-open.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, TEMPORARY } from "./layout.js";
import { type Manifest, ManifestFile, type ManifestReading } from "./manifest.js";

/**
 * Changes the manifest of a directory that is being opened, durably, by a new file in the place of the old one, which
 * `handle` is. The manifest names the very file that it is in. So one that was copied over it in place, from an
 * earlier session, names a file that is gone: nothing else tells a store that was set back by `cp -a backup/. data/`.
 *
 * A disk that is full has no room for the new file. Then the old one is changed: a copy may go unnoticed that was
 * made before and is put back before the next open.
 *
 * Takes the handle over when it resolves.
 */
export async function renewManifest(
  runtime: DiskRuntime,
  layout: Layout,
  handle: FileHandle,
  reading: ManifestReading,
  changed: Manifest,
): Promise<ManifestFile> {
  const { fileSystem, checksum } = runtime;
  const temporary = layout.manifest + TEMPORARY;
  let manifest: Manifest;
  try {
    manifest = await writeNew(runtime, temporary, reading, changed);
    // A look at the store by another user, root, is not to lock its owner out.
    await attempt("create", temporary, fileSystem.copyRights(layout.manifest, temporary));
    await attempt("rename", layout.manifest, fileSystem.rename(temporary, layout.manifest));
  } catch (error) {
    await removeFile(fileSystem, temporary).catch(() => undefined);
    if (codeOf(error) !== "DISK_FULL") throw error;
    const file = new ManifestFile(checksum, handle, reading);
    await file.update(() => changed);
    return file;
  }
  await syncDirectory(fileSystem, layout.root);
  const renewed = await openFile(fileSystem, layout.manifest, "update");
  await handle.close().catch(() => undefined);
  const generation = reading.generation + 2;
  return new ManifestFile(checksum, renewed, { manifest, generation, damagedSlot: undefined, staleSlot: 0 });
}

async function writeNew(
  runtime: DiskRuntime,
  path: string,
  { generation }: ManifestReading,
  changed: Manifest,
): Promise<Manifest> {
  await removeFile(runtime.fileSystem, path);
  const file = await openFile(runtime.fileSystem, path, "create");
  try {
    const manifest = await fillManifest(runtime, file, changed, generation);
    await syncFile(file);
    return manifest;
  } finally {
    await attempt("close", path, file.close());
  }
}
