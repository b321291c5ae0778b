/** The entries of a commit, which are written one after the other. */
export interface EntrySource {
  /** Writes the entry of this index at `at`, and returns the position after it. */
  write(index: number, bytes: Uint8Array, at: number): number;
}
