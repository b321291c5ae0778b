// Marks in the second word of a record, above the upper bits of its version.

/** A newer version of the key replaced it. */
export const SUPERSEDED = 1 << 21;
/** Its commit is not settled: the queue of those names it. */
export const QUEUED = 1 << 22;
/** A pinned version's list names it. */
export const HELD = 1 << 23;
/** A later entry of its own commit replaced it: only the queue still knows it. */
export const DISCARDED = 1 << 24;
/** Its memory was given back. */
export const FREED = 1 << 25;
/** It has a link, or a meaningful word for what it replaced. */
export const LINKED = 1 << 26;
/** It goes when the commits are settled that are not yet. */
export const LEAVING = 1 << 27;
/** It was replaced or deleted, and only pins that are not of a user keep it. */
export const KEPT = 1 << 28;
/** What is left for the version. */
export const VERSION_HIGH = SUPERSEDED - 1;
