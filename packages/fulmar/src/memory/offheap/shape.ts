import { assert } from "../../base/assert.js";

/** Sizes of everything that is allocated. Tests shrink them, so that few keys meet every boundary. */
export interface EngineShape {
  /** Bytes of the largest slab of the arena that records share: a power of two. */
  readonly slabBytes: number;
  /** The same of the smallest, with which a store begins. */
  readonly slabBytesMin: number;
  /** The unit in which slabs are cut into spans: a power of two. */
  readonly pageBytes: number;
  /** The least pages of a span of cells. */
  readonly spanPagesMin: number;
  /** Records up to here share spans with others of their size; larger ones have pages of their own. */
  readonly cellBytesMax: number;
  /** Records from here on have a slab of their own. */
  readonly ownSlabBytesMin: number;
  /** 32-bit words of one tree node: a power of two. */
  readonly nodeWords: number;
  /** Tree nodes that are allocated at a time, at most: a power of two. */
  readonly chunkNodes: number;
  /** The same at least: a power of two. */
  readonly chunkNodesMin: number;
  /** Entries of a tree node at most, whatever would fit. */
  readonly nodeEntriesMax: number;
  /** Parts of the hash index, each with tables of its own: a power of two. */
  readonly hashParts: number;
  /** Groups of the smallest hash tables of all parts together. */
  readonly hashGroupsMin: number;
  /** Groups of a hash table that are allocated at a time: a power of two. */
  readonly hashChunkGroups: number;
  /** Groups that one change moves from the old hash table of its part to the new one. */
  readonly hashStepGroups: number;
  /** Records that settling, releasing or rolling back lets go of at once; the rest is left to vacuum. */
  readonly vacuumAtOnce: number;
  /** Records that one step of ordering by origin looks at. */
  readonly orderedAtOnce: number;
  /** Entries that a load looks up together, and bytes of them at most. */
  readonly loadedTogether: number;
  readonly loadedTogetherBytes: number;
}

/**
 * Node and chunk sizes are measured: of 256 to 2048 bytes a node, 512 load fastest. Slabs must not be
 * growable buffers, which are read several times slower; nor shared ones, if they are dropped: the collector
 * does not count their bytes, so that it lets gigabytes of dropped slabs lie before it runs.
 */
export const DEFAULT_SHAPE: EngineShape = Object.freeze({
  slabBytes: 32 << 20,
  slabBytesMin: 128 << 10,
  pageBytes: 8 << 10,
  spanPagesMin: 4,
  cellBytesMax: 32 << 10,
  ownSlabBytesMin: 8 << 20,
  nodeWords: 128,
  chunkNodes: 2048,
  chunkNodesMin: 64,
  nodeEntriesMax: 1 << 16,
  hashParts: 16,
  hashGroupsMin: 64,
  hashChunkGroups: 1 << 11,
  hashStepGroups: 3,
  vacuumAtOnce: 1024,
  orderedAtOnce: 4096,
  loadedTogether: 1 << 14,
  loadedTogetherBytes: 4 << 20,
});

/** The largest power of two that is not above a number, within two of them, of which the upper one counts. */
export function powerWithin(number: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, 2 ** Math.floor(Math.log2(Math.max(1, number)))));
}

/** The exponent of a power of two. */
export function exponentOf(power: number): number {
  const exponent = 31 - Math.clz32(power);
  assert(power === 2 ** exponent, "sizes that are shifted by are powers of two");
  return exponent;
}
