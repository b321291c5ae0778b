/** One step of a transaction on lists: adds an element to a list, or reads the whole list. */
export type ListStep =
  | { readonly do: "append"; readonly key: string; readonly element: number }
  | { readonly do: "read"; readonly key: string; readonly list: readonly number[] };

/** A transaction as its client saw it. Elements are unique in the whole history. */
export interface ListTransaction {
  /** For messages. */
  readonly id: string;
  /**
   * `committed`: the client was told so. `aborted`: it was told that nothing was done. `unknown`: it was told
   * neither, because of a crash or a lost answer.
   */
  readonly outcome: "committed" | "aborted" | "unknown";
  readonly steps: readonly ListStep[];
  /** Moments of the call and of the answer, by any clock that all clients share; for real-time order. */
  readonly begin: number;
  readonly end: number;
}

/** Something that no serial order explains. */
export interface Anomaly {
  readonly kind:
    | "aborted-read"
    | "intermediate-read"
    | "internal"
    | "duplicate-element"
    | "phantom-element"
    | "incompatible-order"
    | "lost-append"
    | "cycle";
  /** The transactions that show it. */
  readonly transactions: readonly string[];
  readonly message: string;
}
