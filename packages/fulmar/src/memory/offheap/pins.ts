import { PinnedVersions } from "../pinned-versions.js";
import type { NodePool } from "./node-pool.js";
import { RefQueue } from "./ref-queue.js";

/** The pinned versions, and what is listed with them. */
export class PinSet extends PinnedVersions<RefQueue> {
  /** `released` is given what a pinned version held when it is let go, and empties it. */
  constructor(pool: NodePool, released: (held: RefQueue) => void) {
    super(() => new RefQueue(pool), released);
  }
}
