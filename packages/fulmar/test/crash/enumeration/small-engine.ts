import type { EngineShape } from "../../../src/memory/offheap/shape.js";

/** Thousands of stores with a handful of entries are opened here: memory in small pieces spares most of the time. */
export function small(shape: EngineShape): EngineShape {
  return {
    ...shape,
    slabBytes: 128 << 10,
    ownSlabBytesMin: 64 << 10,
    chunkNodes: 32,
    loadedTogether: 256,
    loadedTogetherBytes: 64 << 10,
  };
}
