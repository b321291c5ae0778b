import { portOf } from "../store/port.js";
import type { Store } from "../store/store.js";
import { type Replicator, StoreReplicator } from "./replicator.js";
import type { ReplicateOptions } from "./settings.js";

export type { ReplicatorEvent, ReplicatorEvents, ReplicatorListener } from "./events.js";
export type { Member } from "./membership.js";
export type { Replicator } from "./replicator.js";
export type { ReplicateOptions } from "./settings.js";
export type { PeerStatus } from "./status.js";
export type { SyncedOptions } from "./waiting.js";

/**
 * Replicates an open store with its peers, in both directions and without a leader, until the replicator
 * or the store is closed. Resolves when it listens; peers are connected in the background.
 *
 * A store has one replicator at a time.
 *
 * Rejects with INVALID_ARGUMENT, UNKNOWN_OPTION; CLOSED; EVICTION_WITH_PEERS; INSECURE_LISTEN without a secret beyond
 * loopback; ADDRESS_IN_USE, ADDRESS_INVALID.
 *
 * @example
 * ```ts
 * import { open } from "fulmar";
 * import { replicate } from "fulmar/sync";
 *
 * await using here = await open<string>();
 * await using there = await open<string>();
 * await using listener = await replicate(here, { listen: "127.0.0.1:0" });
 * await using dialler = await replicate(there, { peers: [listener.address ?? ""] });
 * await here.set("greeting", "hello");
 * await listener.synced(undefined, { peers: 1 });
 * console.log(there.get("greeting"), dialler.peers().length); // hello 1
 * ```
 */
export async function replicate<V>(store: Store<V>, options: ReplicateOptions = {}): Promise<Replicator> {
  return StoreReplicator.start(portOf(store), options);
}
