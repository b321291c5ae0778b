import { type Durability, type OpenOptions, open, type Store } from "fulmar";
import { keyAt, turn, valuePool } from "./measure.js";

/** How many writes are on their way at once while a store is filled. */
const IN_FLIGHT = 1000;

export type ByteStore = Store<Uint8Array>;

export function openBytes(
  directory: string | undefined,
  durability: Durability,
  options: OpenOptions<Uint8Array> = {},
): Promise<ByteStore> {
  return open<Uint8Array>(directory, { codec: "bytes", durability, ...options });
}

/** Sets each key of `order`, a thousand at once, and lets the event loop turn in between. */
export async function fill(db: ByteStore, order: Uint32Array, valueBytes: number): Promise<void> {
  const valueFor = valuePool(valueBytes);
  for (let i = 0; i < order.length; i += IN_FLIGHT) {
    const count = Math.min(IN_FLIGHT, order.length - i);
    const keys = Array.from({ length: count }, (_, j) => order[i + j]);
    await Promise.all(keys.map((key) => db.set(keyAt(key), valueFor(key))));
    await turn();
  }
}
