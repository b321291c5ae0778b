/** How durable a write is when its promise resolves: handed to the operating system, or synced to the disk. */
export type Level = "relaxed" | "full";

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

/** One open store. What a library does not have is left out, and so are the workloads that need it. */
export interface Handle {
  /** Returns, or resolves, when the write is durable at the level that the store was opened with. */
  set(key: string, value: Uint8Array): unknown;
  /** All or nothing, where the library can. */
  batch(entries: readonly Entry[]): unknown;
  /** The value of a key, at once, in bytes that are the caller's own. */
  get?(key: string): Uint8Array | undefined;
  /** The value of a key, at once, in memory of the store that will be used again. */
  view?(key: string): Uint8Array | undefined;
  /** The value of a key, where it comes with a promise. */
  getLater?(key: string): Promise<Uint8Array | undefined>;
  /** Reads keys and values in order from `from` on, `limit` at most. How many there were. */
  range?(from: string, limit: number): number | Promise<number>;
  /** Reads two keys and writes both back with their first byte increased, as one step where the library can. */
  update?(first: string, second: string): unknown;
  /**
   * The same, with a turn of the event loop between reading and writing, as of one who asks somebody else meanwhile.
   * How many attempts it took.
   */
  updateLater?(first: string, second: string): Promise<number>;
  /** Adds one to a counter, which begins at nothing, as one step. */
  increment?(counter: string): unknown;
  /**
   * Reads `limit` entries in order from the beginning on, all of one state, with a turn of the event loop after
   * each `slice` of them. How many there were.
   */
  longRead?(limit: number, slice: number): Promise<number>;
  /** Hands over what is still under way. */
  flush(): unknown;
  close(): unknown;
  /** The process that holds the data, when it is another one. */
  readonly serverProcessId?: number;
}

export interface Engine {
  readonly name: string;
  /** Whether it has files that can be opened again. */
  readonly durable: boolean;
  /** Nothing that anybody could use in the place of a store: not among those that Fulmar is compared with. */
  readonly isStore?: false;
  /** The only workloads to run, for a variant that differs in these alone. */
  readonly only?: readonly string[];
  /** Why it cannot run here, if it cannot. */
  missing?(): string | undefined;
  open(directory: string, level: Level): Promise<Handle>;
}

/** A copy with the first byte increased: what an update writes. */
export function changed(value: Uint8Array): Uint8Array {
  const copy = new Uint8Array(value);
  copy[0]++;
  return copy;
}
