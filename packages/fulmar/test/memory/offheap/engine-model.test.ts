import { createEngine } from "../../../src/memory/offheap/engine.js";
import { engineModelSuite } from "../engine-model-suite.js";
import { SLICED, SLICED_FINEST, SMALL, SMALLEST } from "./shapes.js";

engineModelSuite("off-heap", createEngine);
engineModelSuite("off-heap, small", (options) => createEngine({ ...options, shape: SMALL }));
engineModelSuite("off-heap, smallest", (options) => createEngine({ ...options, shape: SMALLEST }));
engineModelSuite("off-heap, vacuum in slices", (options) => createEngine({ ...options, shape: SLICED }));
engineModelSuite("off-heap, vacuum put off", (options) => createEngine({ ...options, shape: SLICED_FINEST }));
