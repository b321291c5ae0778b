import { createEngine } from "../../../src/memory/offheap/engine.js";
import { memoryEngineSuite } from "../engine-suite.js";
import { SMALL, SMALLEST } from "./shapes.js";

memoryEngineSuite("off-heap", createEngine);
memoryEngineSuite("off-heap, small", (options) => createEngine({ ...options, shape: SMALL }));
memoryEngineSuite("off-heap, smallest", (options) => createEngine({ ...options, shape: SMALLEST }));
