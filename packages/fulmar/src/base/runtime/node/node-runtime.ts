import type { Runtime } from "../interface.js";
import { nodeChecksum } from "./checksum.js";
import { nodeClock } from "./clock.js";
import { nodeCompression } from "./compression.js";
import { nodeCryptography } from "./cryptography.js";
import { nodeDiagnostics } from "./diagnostics.js";
import { nodeFileSystem } from "./file-system.js";
import { nodeFinalization } from "./finalization.js";
import { nodeRandom } from "./random.js";
import { nodeTransport } from "./tcp-transport.js";
import { nodeThreads } from "./threads.js";
import { nodeTimers } from "./timers.js";

const RUNTIME: Runtime = Object.freeze({
  clock: nodeClock,
  timers: nodeTimers,
  random: nodeRandom,
  checksum: nodeChecksum,
  cryptography: nodeCryptography,
  compression: nodeCompression,
  diagnostics: nodeDiagnostics,
  fileSystem: nodeFileSystem,
  transport: nodeTransport,
  threads: nodeThreads,
  finalization: nodeFinalization,
});

/** The real surroundings: this machine's clock, disk and network. */
export function nodeRuntime(): Runtime {
  return RUNTIME;
}
