import type { FileHandle } from "../../src/base/runtime/interface.js";
import type { SimulatedDisk, SimulatedStorage } from "../../src/testing/simulated/index.js";

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
/** Bytes as text, with a point for each zero. */
export const shown = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : [...bytes].map((b) => (b === 0 ? "." : String.fromCharCode(b))).join("");

/** The distinct contents of one file over all images; "absent" where its name is missing. */
export function outcomes(disk: SimulatedDisk, path: string, limit?: number): string[] {
  const found = new Set<string>();
  for (const image of disk.durableImages(limit)) found.add(shown(image.image().get(path)) ?? "absent");
  return [...found].sort();
}

/** A file with this content that a power cut leaves alone. */
export async function synced(machine: SimulatedStorage, path: string, content: string): Promise<FileHandle> {
  const fs = machine.runtime.fileSystem;
  const file = await fs.open(path, "create");
  await file.write(text(content), 0);
  await file.syncData();
  await fs.syncDirectory(fs.parent(path));
  return file;
}
