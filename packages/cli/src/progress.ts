import type { CareProgress } from "fulmar";
import type { Io, Sink } from "./io.js";

const WIDTH = 30;
const STEP_MS = 100;

/** A progress bar on one line of a terminal; nothing at all where nobody is watching. */
export class ProgressBar {
  readonly #sink: Sink;
  #drawn = false;
  #nextMs = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  update(label: string, done: number, total: number): void {
    if (!this.#isDue()) return;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * WIDTH);
    const bar = "#".repeat(filled).padEnd(WIDTH, "-");
    this.#draw(`\r\u001b[K${label} [${bar}] ${Math.floor(share * 100)} %`);
  }

  /** For work whose end is not known. */
  count(label: string, done: number, unit: string): void {
    if (this.#isDue()) this.#draw(`\r\u001b[K${label} ${done} ${unit}`);
  }

  /** Wipes the line, so that what follows stands alone. */
  clear(): void {
    if (this.#drawn) this.#draw("\r\u001b[K");
    this.#drawn = false;
  }

  #isDue(): boolean {
    if (!this.#sink.interactive || performance.now() < this.#nextMs) return false;
    this.#nextMs = performance.now() + STEP_MS;
    this.#drawn = true;
    return true;
  }

  #draw(text: string): void {
    // A terminal that went away is noticed by the command's own output.
    this.#sink.write(text).catch(() => {});
  }
}

const LABELS = { read: "reading", write: "writing" } as const;

/** Shows how far long work on files is, as long as it lasts. */
export async function withProgress<T>(
  io: Io,
  work: (onProgress: (progress: CareProgress) => void) => Promise<T>,
): Promise<T> {
  const bar = new ProgressBar(io.stderr);
  const onProgress = ({ phase, bytes, bytesTotal }: CareProgress): void =>
    bar.update(LABELS[phase], bytes, bytesTotal);
  return work(onProgress).finally(() => bar.clear());
}
