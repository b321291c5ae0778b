import type { Durability, Key, Store } from "fulmar";

/** How many keys are deleted by one commit: few enough for any store whose limits were not lowered. */
const KEYS_PER_COMMIT = 50_000;

/**
 * Deletes the keys of a listing, in as few commits as there can be. The first is done before this returns, so
 * that what is written afterwards stays.
 */
export async function deleteAll(
  store: Store<Uint8Array>,
  keys: Iterable<Key>,
  options: { readonly durability?: Durability },
): Promise<void> {
  let chunk: Key[] = [];
  for (const key of keys) {
    chunk.push(key);
    if (chunk.length === KEYS_PER_COMMIT) {
      await deleteChunk(store, chunk, options);
      chunk = [];
    }
  }
  await deleteChunk(store, chunk, options);
}

async function deleteChunk(
  store: Store<Uint8Array>,
  keys: readonly Key[],
  options: { readonly durability?: Durability },
): Promise<void> {
  if (keys.length === 0) return;
  try {
    const operations = keys.map((key) => ({ type: "delete", key }) as const);
    await store.batch(operations, options);
  } catch (error) {
    // The store was opened with lower limits than usual.
    if ((error as { code?: unknown }).code !== "COMMIT_TOO_LARGE" || keys.length === 1) throw error;
    const half = Math.ceil(keys.length / 2);
    await deleteChunk(store, keys.slice(0, half), options);
    await deleteChunk(store, keys.slice(half), options);
  }
}
