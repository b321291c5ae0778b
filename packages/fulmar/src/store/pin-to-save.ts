import type { Coverage } from "../record/coverage.js";
import type { Committer } from "../transaction/committer.js";
import type { PinOwner, StatePin } from "../transaction/pins.js";

/**
 * Pins what is to be saved elsewhere: the newest synced state, or, when nothing can be synced any more, all that
 * memory shows, which may be more than the next open will find.
 */
export async function pinToSave(
  committer: Committer,
  owner: PinOwner,
): Promise<{ readonly pin: StatePin; readonly coverage: Coverage }> {
  try {
    return await committer.pinSynced(owner);
  } catch (error) {
    if (committer.failure === undefined) throw error;
    return {
      pin: committer.pin(Number.POSITIVE_INFINITY, owner),
      coverage: committer.appliedCoverage.copy(),
    };
  }
}
