import type { EngineOptions } from "../engine.js";
import type { Sharing } from "../shared/sharing.js";
import type { EngineShape } from "./shape.js";

/** What the off-heap engine takes beyond what every engine does. */
export interface OffHeapOptions extends EngineOptions {
  /** Two random 32-bit words for each store, so that nobody can choose keys that collide; zeros for tests. */
  readonly secret?: readonly [number, number];
  /** Lays everything that readers on other threads need in shared memory, and lets them in. */
  readonly sharing?: Sharing;
  /** Sizes that differ from the measured ones. */
  readonly shape?: Partial<EngineShape>;
}
