// What the words of a node of the key tree mean, to its owner and to readers on other threads.

/** Words of a node of the key tree. */
export const COUNT = 0;
/** What all keys of the node begin with: see `prefixWord`. */
export const PREFIX = 1;
/** What is known of all that is below the node, by the bits that follow; any change below it makes this STALE. */
export const STATE = 2;
/** Keys in the leaves below, and the sum of the hashes of their newest entries. */
export const SIZE = 3;
export const SUM = 4;
/** Neighbours of a leaf. */
export const NEXT = 8;
export const PREVIOUS = 9;
/** First of the heads; behind them the references, and in an inner node the children. */
export const HEADS = 10;

/** A bit of STATE: SIZE and SUM have to be computed again. */
export const STALE = 1;
/** A bit of STATE: every key below is deleted, and has no older version that somebody could see. */
export const BARE = 2;

/** Bytes before the key of a separator: its length. */
export const SEPARATOR_HEADER_BYTES = 4;
