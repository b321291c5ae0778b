import { createEngine } from "../../../src/memory/offheap/engine.js";
import { engineModelSuite } from "../engine-model-suite.js";
import { memoryEngineSuite } from "../engine-suite.js";
import { SLICED, SLICED_FINEST, SMALL, SMALLEST } from "./shapes.js";

memoryEngineSuite("off-heap", createEngine);
memoryEngineSuite("off-heap, small", (options) => createEngine({ ...options, shape: SMALL }));
memoryEngineSuite("off-heap, smallest", (options) => createEngine({ ...options, shape: SMALLEST }));

engineModelSuite("off-heap, vacuum in slices", (options) => createEngine({ ...options, shape: SLICED }));
engineModelSuite("off-heap, vacuum put off", (options) => createEngine({ ...options, shape: SLICED_FINEST }));
