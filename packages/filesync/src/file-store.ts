import type { Store } from "fulmar";

/** What a mirror needs of a store with the `bytes` codec. */
export type FileStore = Pick<
  Store<Uint8Array>,
  "get" | "has" | "set" | "batch" | "list" | "keys" | "watch" | "status"
>;
