import { PinnedVersions } from "../pinned-versions.js";
import type { NodePool } from "./node-pool.js";
import { RefQueue } from "./ref-queue.js";

/** The pinned versions, and what is listed with them. */
export class PinSet extends PinnedVersions<RefQueue> {
  /**
   * `released` is given what a pinned version held when it is let go, and empties it; `loosened` is told before,
   * once no pin of a version keeps records where they are.
   */
  constructor(pool: NodePool, released: (held: RefQueue) => void, loosened: () => void) {
    let spare: RefQueue | undefined;
    const create = (): RefQueue => {
      const held = spare ?? new RefQueue(pool);
      spare = undefined;
      return held;
    };
    const letGo = (held: RefQueue): void => {
      // Most versions are pinned for a moment and hold nothing: nobody else gets to know their lists.
      if (held.size === 0) spare = held;
      released(held);
    };
    super(create, letGo, loosened);
  }
}
