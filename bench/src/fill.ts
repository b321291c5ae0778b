import { type Durability, type OpenOptions, open, type Store } from "fulmar";
import { keyAt, turn, valuePool } from "./measure.js";

/** How many writes are on their way at once while a store is filled. */
const IN_FLIGHT = 1000;
/** How many calls one turn of the event loop has where its length is measured: each is part of it. */
export const CALLS_PER_TURN = 100;

export type ByteStore = Store<Uint8Array>;

export function openBytes(
  directory: string | undefined,
  durability: Durability,
  options: OpenOptions<Uint8Array> = {},
): Promise<ByteStore> {
  return open<Uint8Array>(directory, { codec: "bytes", durability, ...options });
}

/** Sets each key of `order`, `together` at once, and lets the event loop turn in between. */
export function fill(
  db: ByteStore,
  order: Uint32Array,
  valueBytes: number,
  together = IN_FLIGHT,
): Promise<void> {
  const valueFor = valuePool(valueBytes);
  return forEach(order, together, (key) => db.set(keyAt(key), valueFor(key)));
}

/** Calls `write` for each key of `order`, `together` at once, and lets the event loop turn in between. */
export async function forEach(
  order: Uint32Array,
  together: number,
  write: (key: number) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < order.length; i += together) {
    const count = Math.min(together, order.length - i);
    await Promise.all(Array.from({ length: count }, (_, j) => write(order[i + j])));
    await turn();
  }
}
