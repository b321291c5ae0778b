export { type ClockOptions, SimulatedClock, SimulatedTimers } from "./clock.js";
export { type DiskHook, type DiskLatency, type DiskOptions, SimulatedDisk } from "./disk.js";
export type { AfterSync, DiskFault, DiskFaults, DiskOperation, DiskOperationKind } from "./disk-faults.js";
export { type FileSystemCase, fileSystemCases } from "./file-system-conformance.js";
export type { Link, LinkOptions } from "./link.js";
export type { DiskProfile } from "./pending.js";
export { Prng } from "./prng.js";
export { SimulatedKill, SimulatedProcess } from "./process.js";
export {
  type RunOptions,
  type RunResult,
  type Scheduled,
  type ScheduleOptions,
  Scheduler,
} from "./scheduler.js";
export { type NetworkOptions, SimulatedNetwork } from "./simulated-network.js";
export {
  NO_CRYPTOGRAPHY,
  NO_DIAGNOSTICS,
  SimulatedStorage,
  type StorageOptions,
  simulatedStorage,
} from "./simulated-storage.js";
export { type NodeOptions, SimulatedNode, SimulatedWorld, type WorldOptions } from "./simulated-world.js";
export { type SystemCode, SystemError } from "./system-error.js";
export { Trace } from "./trace.js";
