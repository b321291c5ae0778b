import { performance } from "node:perf_hooks";
import type { Clock } from "../interface.js";

export const nodeClock: Clock = Object.freeze({
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
});
