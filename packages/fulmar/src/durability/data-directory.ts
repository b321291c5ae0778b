import { unreachable } from "../base/assert.js";
import type { Runtime } from "../base/runtime/interface.js";
import type { MemoryEngine } from "../memory/engine.js";
import type { OriginTable } from "../record/origins.js";
import type { CommitLog, LogObserver } from "./commit-log.js";
import type {
  CheckpointResult,
  CheckpointSource,
  DirectoryOptions,
  DirectoryStatus,
  FinalState,
  Recovered,
} from "./directory-types.js";

/** A data directory, held by its lock: manifest, log and checkpoints of one store. */
export class DataDirectory {
  /**
   * Locks the directory, creating it when it is missing or empty, and loads what it holds into
   * `engine`, which must be empty. The store's incarnation becomes number 1 of `origins`, which must
   * be empty too.
   */
  static open(
    _runtime: Runtime,
    _path: string,
    _engine: MemoryEngine,
    _origins: OriginTable,
    _options: DirectoryOptions,
  ): Promise<DataDirectory> {
    return Promise.reject(new Error("not built yet"));
  }

  get recovered(): Recovered {
    return unreachable(undefined as never);
  }

  /** Begins appending; once only. */
  startLog(_observer: LogObserver): CommitLog {
    return unreachable(undefined as never);
  }

  /** Writes a checkpoint while commits go on. One at a time. When it rejects the store is as it was. */
  checkpoint(_source: CheckpointSource): Promise<CheckpointResult> {
    return unreachable(undefined as never);
  }

  /** Makes it durable that this store has met a peer, so that it keeps tombstones from now on. */
  rememberPeers(): Promise<void> {
    return unreachable(undefined as never);
  }

  status(): DirectoryStatus {
    return unreachable(undefined as never);
  }

  /** Closes the log, records an orderly end and releases the lock. */
  close(_final: FinalState): Promise<void> {
    return unreachable(undefined as never);
  }
}
