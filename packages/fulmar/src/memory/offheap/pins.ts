import { PinnedVersions } from "../pinned-versions.js";
import type { NodePool } from "./node-pool.js";
import { RefQueue } from "./ref-queue.js";

/** The pinned versions, and what is listed with them. */
export class PinSet extends PinnedVersions<RefQueue> {
  /** `released` is given what a pinned version held when it is let go, and empties it. */
  constructor(pool: NodePool, released: (held: RefQueue) => void) {
    let spare: RefQueue | undefined;
    const create = (): RefQueue => {
      const held = spare ?? new RefQueue(pool);
      spare = undefined;
      return held;
    };
    super(create, (held) => {
      // Most versions are pinned for a moment and hold nothing: nobody else gets to know their lists.
      if (held.size === 0) spare = held;
      released(held);
    });
  }
}
