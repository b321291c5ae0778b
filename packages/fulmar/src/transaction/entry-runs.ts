/** Entries in an order, of which those that stand back to back in one page are remembered, and copied, as one. */
export class EntryRuns {
  readonly #runs: { readonly bytes: Uint8Array; readonly from: number; to: number }[] = [];

  add(bytes: Uint8Array, at: number, length: number): void {
    const last = this.#runs.at(-1);
    if (last?.bytes === bytes && last.to === at) last.to = at + length;
    else this.#runs.push({ bytes, from: at, to: at + length });
  }

  /** Copies all of them to `into[at...]`, and returns where they end. */
  copy(into: Uint8Array, at: number): number {
    let next = at;
    for (const { bytes, from, to } of this.#runs) {
      into.set(bytes.subarray(from, to), next);
      next += to - from;
    }
    return next;
  }
}
