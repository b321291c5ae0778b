import type { CommitLog, CommitSpace, LogObserver } from "../durability/commit-log.js";
import type { MemoryHistory } from "./memory-history.js";

/** The log of a store without a directory: a commit is as durable as it gets once it is applied. */
export class MemoryLog implements CommitLog {
  readonly #observer: LogObserver;
  readonly #history: MemoryHistory | undefined;
  #scratch = new Uint8Array(1024);
  #length = 0;
  #version: number;

  /** `history`, if any, gets each commit. */
  constructor(observer: LogObserver, version: number, history?: MemoryHistory) {
    this.#observer = observer;
    this.#version = version;
    this.#history = history;
  }

  get logged(): number {
    return this.#version;
  }

  get synced(): number {
    return this.#version;
  }

  begin(version: number, lengthBytes: number): CommitSpace {
    if (lengthBytes > this.#scratch.length) this.#scratch = new Uint8Array(2 * lengthBytes);
    this.#version = version;
    this.#length = lengthBytes;
    return { bytes: this.#scratch, at: 0 };
  }

  end(): void {
    this.#history?.append(this.#version, this.#scratch, 0, this.#length);
    // A huge commit must not pin its size in memory for ever.
    if (this.#scratch.length > 1024 * 1024) this.#scratch = new Uint8Array(1024);
    this.#observer.logged(this.#version, this.#version);
    this.#observer.synced(this.#version, this.#version);
  }

  want(): void {}

  async close(): Promise<void> {}
}
