import { expect } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { type EngineOptions, type MemoryEngine, NONE } from "../../../src/memory/engine.js";
import { createEngine } from "../../../src/memory/offheap/engine.js";
import type { EngineShape } from "../../../src/memory/offheap/shape.js";
import { NONE_YET, PIN } from "../../../src/memory/shared/control.js";
import { Sharing } from "../../../src/memory/shared/sharing.js";
import { isTombstone } from "../../../src/record/entry.js";
import { engineModelSuite } from "../engine-model-suite.js";
import { shown } from "../fixtures.js";
import { SMALL, SMALLEST } from "../offheap/shapes.js";
import { SteppedReader } from "./fixture.js";

/**
 * An engine that a reader is attached to from the first write on: it does everything, but with copies. Each check of
 * the engine checks too what the reader sees, which stays at no state in between: the model would have to know.
 */
function createShared(options: EngineOptions, shape: Partial<EngineShape>): MemoryEngine {
  const sharing = new Sharing({ stepBytes: 1 });
  const engine = createEngine({ ...options, shape, sharing });
  let reader: SteppedReader | undefined;
  const put = engine.put.bind(engine);
  engine.put = (...change) => {
    // Not before: nobody reads what is being loaded.
    reader ??= new SteppedReader(sharing);
    put(...change);
  };
  const verify = engine.verify.bind(engine);
  engine.verify = () => {
    if (reader !== undefined) {
      reader.refresh();
      expect(reader.scan(ALL_KEYS, false)).toEqual(stateAt(engine, reader.version));
      Atomics.store(reader.attached.block, PIN, NONE_YET);
    }
    verify();
  };
  return engine;
}

/** What there is at a version, without tombstones. */
function stateAt(engine: MemoryEngine, version: number): string[] {
  const found: string[] = [];
  const cursor = engine.scan(ALL_KEYS, version, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next())
    if (!isTombstone(engine.slab(ref), engine.offset(ref))) found.push(shown(engine, ref));
  return found;
}

engineModelSuite("shared, small", (options) => createShared(options, SMALL));
engineModelSuite("shared, smallest", (options) => createShared(options, SMALLEST));
