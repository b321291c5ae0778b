import { PinnedVersions } from "../pinned-versions.js";
import type { PlainRecord } from "./record.js";

/** The pinned versions, and what each holds: every record that one of them sees is held by one at least. */
export class PinSet extends PinnedVersions<Set<PlainRecord>> {
  /** `released` is told what a pinned version held when it is let go. */
  constructor(released: (held: Iterable<PlainRecord>) => void) {
    super(() => new Set(), released);
  }

  /** Whether a pinned version that sees `record`, which is replaced at version `top`, holds it. */
  holds(record: PlainRecord, top: number): boolean {
    for (const { version, held } of this) {
      if (version >= record.version && version < top && held.has(record)) return true;
    }
    return false;
  }
}
