import type { CommitLog, CommitSpace, LogObserver } from "../../src/durability/commit-log.js";

/** A log that a test moves by hand: nothing is logged, synced, refused or failed unless the test says so. */
export class ManualLog implements CommitLog {
  readonly records: { version: number; bytes: Uint8Array }[] = [];
  readonly wants: string[] = [];
  /** What the log does as soon as it has a commit. */
  atEnd: () => void = () => {};
  logged = 0;
  synced = 0;
  #open: { version: number; bytes: Uint8Array } | undefined;
  readonly #observer: () => LogObserver;

  constructor(observer: () => LogObserver) {
    this.#observer = observer;
  }

  begin(version: number, lengthBytes: number): CommitSpace {
    if (this.#open !== undefined) throw new Error("a commit ends before the next one begins");
    this.#open = { version, bytes: new Uint8Array(lengthBytes) };
    return { bytes: this.#open.bytes, at: 0 };
  }

  end(): void {
    if (this.#open !== undefined) this.records.push(this.#open);
    this.#open = undefined;
    this.atEnd();
  }

  abandon(): void {
    this.#open = undefined;
  }

  want(level: "logged" | "synced"): void {
    this.wants.push(level);
  }

  log(version = this.records.at(-1)?.version ?? 0): void {
    this.logged = version;
    this.#observer().logged(version, version);
  }

  sync(version = this.logged): void {
    this.synced = version;
    this.#observer().synced(version, this.logged);
  }

  refuse(version: number, error: Error): void {
    while ((this.records.at(-1)?.version ?? 0) > version) this.records.pop();
    this.#observer().refused(version, error);
  }

  async close(): Promise<void> {}
}
