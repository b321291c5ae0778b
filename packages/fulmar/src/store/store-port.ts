import { assert } from "../base/assert.js";
import { FulmarError } from "../base/errors.js";
import { OWN_PREFIX } from "../keys/key.js";
import type { Coverage } from "../record/coverage.js";
import { TOMBSTONE } from "../record/entry.js";
import type { OriginId } from "../record/origins.js";
import { OWN_ORIGIN } from "../transaction/committer.js";
import type { StoreCore } from "./core.js";
import type { Cut, MergeResult, StorePort } from "./port.js";

const NO_VALUE = new Uint8Array(0);

/** The door of a store for replication. */
export function createPort<V>(core: StoreCore<V>): StorePort {
  const { parts, committer, engine } = core;
  return {
    runtime: parts.runtime,
    name: parts.settings.name,
    incarnation: parts.origins.id(OWN_ORIGIN),
    limits: core.limits,
    origins: parts.origins,
    engine,
    verify() {
      engine.verify();
      parts.memory?.residents?.verify();
    },
    get writable() {
      return core.writable;
    },
    coverage: () => committer.syncedCoverage,
    cut: () => openCut(core),
    merge(pages, adds) {
      // As a rule the order is there since replication began.
      if (engine.isOrderedByOrigin) return merge(core, pages, adds);
      return orderByOrigin(core).then(() => merge(core, pages, adds));
    },
    onSynced: (listener) => core.onSynced(listener),
    onEnd: (listener) => core.onEnd(listener),
    async beginReplication() {
      core.assertOpen();
      if (parts.settings.eviction !== "none") {
        const message = "an eviction would be a deletion for every peer: open the store without eviction";
        throw new FulmarError("EVICTION_WITH_PEERS", message, { eviction: parts.settings.eviction });
      }
      engine.keepTombstones = true;
      await parts.directory?.data.rememberPeers();
      await committer.beginReplication();
      await orderByOrigin(core);
    },
    async setReserved(key, value) {
      core.assertOpen();
      assert(key[0] === OWN_PREFIX, "the store's own data has its own prefix");
      const flags = value === undefined ? TOMBSTONE : 0;
      committer.finishMerge();
      return committer.commit([{ key, value: value ?? NO_VALUE, flags, deadline: 0 }], "full");
    },
  };
}

/** Builds what deltas are read from, a slice in each turn of the event loop. */
async function orderByOrigin<V>(core: StoreCore<V>): Promise<void> {
  const { timers } = core.parts.runtime;
  while (!core.engine.orderByOrigin()) {
    await timers.turn();
    core.assertOpen();
  }
}

function openCut<V>({ committer, engine, parts }: StoreCore<V>): Cut {
  const pin = committer.pin(committer.syncedVersion, "store");
  return {
    version: pin.version,
    coverage: committer.syncedCoverage.copy(),
    entries(origin: OriginId, afterSeq: number, throughSeq: number) {
      return engine.byOrigin(parts.origins.intern(origin), afterSeq, throughSeq, pin.version);
    },
    release: () => pin.release(),
  };
}

async function merge<V>(
  core: StoreCore<V>,
  pages: readonly Uint8Array[],
  adds: Coverage,
): Promise<MergeResult> {
  core.assertOpen();
  const done = core.committer.merge(pages, adds);
  core.expectDeadlines();
  const merged = await done;
  // A large one was not applied before.
  core.expectDeadlines();
  return merged;
}
