import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import { decodeSlot, type Manifest, SLOT_BYTES } from "../../../src/durability/manifest.js";

/** What the newer slot of a manifest says that is whole. */
export function manifestIn(bytes: Uint8Array): { readonly manifest: Manifest; readonly generation: number } {
  const slots = [0, SLOT_BYTES].map((at) => decodeSlot(nodeChecksum, bytes.subarray(at, at + SLOT_BYTES)));
  const read = slots.filter((slot) => typeof slot === "object");
  const [newest] = read.sort((a, b) => b.generation - a.generation);
  if (newest === undefined) throw new Error("neither slot is whole");
  return newest;
}
