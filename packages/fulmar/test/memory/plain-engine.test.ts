import { createPlainEngine } from "../../src/memory/plain/engine.js";
import { memoryEngineSuite } from "./engine-suite.js";

memoryEngineSuite("plain engine", createPlainEngine);
