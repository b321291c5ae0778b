import { EMPTY_BYTES } from "../base/bytes.js";
import type { CommitLog, CommitSpace, LogObserver } from "../durability/commit-log.js";
import type { MemoryHistory } from "./memory-history.js";

const LEAST_BYTES = 1024;
const KEPT_BYTES = 1024 * 1024;

/** The log of a store without a directory: a commit is as durable as it gets once it is applied. */
export class MemoryLog implements CommitLog {
  readonly #observer: LogObserver;
  readonly #history: MemoryHistory | undefined;
  #scratch: Uint8Array = EMPTY_BYTES;
  #begun = 0;
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
    if (lengthBytes > this.#scratch.length)
      this.#scratch = new Uint8Array(Math.max(LEAST_BYTES, 2 * lengthBytes));
    this.#history?.makeRoom(lengthBytes);
    this.#begun = version;
    this.#length = lengthBytes;
    return { bytes: this.#scratch, at: 0 };
  }

  abandon(): void {}

  end(): void {
    this.#version = this.#begun;
    this.#history?.append(this.#version, this.#scratch, 0, this.#length);
    // A huge commit must not pin its size in memory for ever.
    if (this.#scratch.length > KEPT_BYTES) this.#scratch = EMPTY_BYTES;
    this.#observer.logged(this.#version, this.#version);
    this.#observer.synced(this.#version, this.#version);
  }

  want(): void {}

  async close(): Promise<void> {}
}
