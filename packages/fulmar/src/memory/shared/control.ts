/**
 * The words through which the owner of an engine and its readers on other threads meet. All of them are read
 * and written with `Atomics`, which are sequentially consistent: every argument here is about their one order.
 */

/** The owner's block, which every reader sees. */
export const EPOCH = 0;
/** Root and height of the key tree in one word, as {@link packRoot} makes it. */
export const ROOT = 1;
/** Number of the newest publication; see {@link publicationAt}. */
export const PUBLICATION = 2;
/** Changes when a slab or chunk of nodes is gone whose number may come to stand for another. */
export const EDITION = 3;
/** 1 once the store is closed. */
export const CLOSED = 4;
const PUBLICATIONS = 16;

/** What is published together: version and time of a state, each as lower and upper word. */
export const VERSION = 0;
export const TIME = 2;
const PUBLICATION_WORDS = 4;
/** A publication is overwritten when so many others followed; readers that were slower notice. */
const PUBLICATIONS_KEPT = 8;
export const CONTROL_WORDS = PUBLICATIONS + PUBLICATIONS_KEPT * PUBLICATION_WORDS;

/** A reader's block, which only it and the owner see. */
export const SECTION = 0;
/** The publication whose version the reader stays at. */
export const PIN = 1;
/** 1 once the owner has let go of the reader for good. */
export const DETACHED = 2;
/** Counts what the reader does. */
export const ACTIVITY = 3;
export const READER_WORDS = 16;

/** In SECTION: the reader looks at nothing. In PIN: it stays at no version. */
export const NONE_YET = 0;
/** In SECTION and PIN: the owner took back what was there. */
export const REVOKED = 0xffffffff;

/** Epochs and publications count up to here and go on at 1. */
export const COUNT_MAX = 0x7fffffff;

const NODE_BITS = 26;
const TWO_32 = 4294967296;

/** Nodes of the key tree have smaller numbers, and it has fewer levels than the rest of the word can say. */
export const TREE_NODES_MAX = 2 ** NODE_BITS;

export function packRoot(root: number, height: number): number {
  return height * TREE_NODES_MAX + root;
}

export function rootNode(word: number): number {
  return word % TREE_NODES_MAX;
}

export function rootHeight(word: number): number {
  return word >>> NODE_BITS;
}

export function nextCount(count: number): number {
  return count === COUNT_MAX ? 1 : count + 1;
}

/** How many steps of {@link nextCount} lead from one count to another. */
export function countsBetween(from: number, to: number): number {
  return to >= from ? to - from : to - from + COUNT_MAX;
}

/** Where a number of a publication is in the owner's block. */
export function publicationAt(publication: number, field: number): number {
  return PUBLICATIONS + (publication % PUBLICATIONS_KEPT) * PUBLICATION_WORDS + field;
}

/** Numbers below 2^53 in two words. */
export function storePair(words: Uint32Array, at: number, value: number): void {
  Atomics.store(words, at, value % TWO_32);
  Atomics.store(words, at + 1, Math.floor(value / TWO_32));
}

export function loadPair(words: Uint32Array, at: number): number {
  return Atomics.load(words, at) + Atomics.load(words, at + 1) * TWO_32;
}
