/**
 * Mirrors directory trees through a Fulmar store.
 *
 * @packageDocumentation
 */
export { compareTrees, type TreeComparison, type TreeDifference } from "./compare.js";
export type { MirrorAction, Sizes } from "./context.js";
export type { Refusal, Skipped } from "./counters.js";
export type { FileStore } from "./file-store.js";
export { type Mirror, type MirrorOptions, startMirror } from "./mirror.js";
export type { MirrorStatus } from "./mirror-status.js";
export { type PathFault, pathFault } from "./paths.js";
