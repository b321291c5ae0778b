import { portOf } from "../store/port.js";
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
 * Errors: INVALID_ARGUMENT, UNKNOWN_OPTION; CLOSED; INSECURE_LISTEN without a secret beyond loopback;
 * ADDRESS_IN_USE, ADDRESS_INVALID.
 */
export async function replicate(store: object, options: ReplicateOptions = {}): Promise<Replicator> {
  return StoreReplicator.start(portOf(store), options);
}
