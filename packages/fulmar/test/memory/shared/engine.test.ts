import type { EngineOptions, MemoryEngine } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import type { EngineShape } from "../../../src/memory/offheap/shape.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { engineModelSuite } from "../engine-model-suite.js";
import { SMALL, SMALLEST } from "../offheap/shapes.js";

/** An engine that a reader is attached to from the first write on: it does everything, but with copies. */
function createShared(options: EngineOptions, shape: Partial<EngineShape>): MemoryEngine {
  const sharing = new Sharing({ stepBytes: 1 });
  const engine = createEngine({ ...options, shape, sharing });
  const put = engine.put.bind(engine);
  engine.put = (...change) => {
    // Not before: nobody reads what is being loaded.
    if (sharing.readers.size === 0) sharing.attach();
    put(...change);
  };
  return engine;
}

engineModelSuite("shared, small", (options) => createShared(options, SMALL));
engineModelSuite("shared, smallest", (options) => createShared(options, SMALLEST));
