import type { EngineShape } from "../../../src/memory/offheap/shape.js";

/** Sizes with which a dozen keys fill nodes, spans, slabs and tables. */
export const SMALL: Partial<EngineShape> = {
  slabBytes: 8192,
  slabBytesMin: 2048,
  pageBytes: 256,
  spanPagesMin: 1,
  cellBytesMax: 512,
  ownSlabBytesMin: 4096,
  nodeWords: 64,
  chunkNodes: 4,
  chunkNodesMin: 2,
  nodeEntriesMax: 8,
  hashParts: 1,
  hashGroupsMin: 1,
  hashChunkGroups: 2,
  hashStepGroups: 1,
  loadedTogether: 16,
  loadedTogetherBytes: 700,
  orderedAtOnce: 3,
};

/** The smallest sizes that there can be: splits and joins at nearly every change. */
export const SMALLEST: Partial<EngineShape> = {
  ...SMALL,
  slabBytes: 4096,
  slabBytesMin: 1024,
  pageBytes: 128,
  cellBytesMax: 128,
  ownSlabBytesMin: 2048,
  nodeWords: 32,
  chunkNodes: 2,
  chunkNodesMin: 1,
  nodeEntriesMax: 3,
  hashParts: 2,
  hashChunkGroups: 1,
  loadedTogether: 1,
  orderedAtOnce: 1,
};

/** Sizes with which vacuum is put off after a few records, and always. */
export const SLICED: Partial<EngineShape> = { ...SMALL, vacuumAtOnce: 3 };
export const SLICED_FINEST: Partial<EngineShape> = { ...SMALLEST, vacuumAtOnce: 0 };
