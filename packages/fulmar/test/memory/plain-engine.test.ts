import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { engineModelSuite } from "./engine-model-suite.js";
import { memoryEngineSuite } from "./engine-suite.js";

engineModelSuite("plain engine", createPlainEngine);
memoryEngineSuite("plain engine", createPlainEngine);
