/**
 * Ways to make plain objects and arrays that V8 keeps no count of, for those that are made with each commit.
 *
 * Of each literal with members or elements, and of each `[]`, V8 counts how many of the objects that it made outlive a
 * collection of the young ones. Once nearly all of a hundred did, which chance decides as soon as a hundred
 * commits are under way, that literal makes its objects, and with them whatever they refer to, in the old
 * generation for as long as the process lives; commits took up to twice as long then. Objects of classes are not
 * counted, nor those of a literal without members, nor arrays of arguments.
 */

/** An object that is given its members one by one. */
export type Unfilled<T> = { -readonly [Member in keyof T]?: T[Member] };

/** An array of what it is given. */
export function listOf<T>(...items: T[]): T[] {
  return items;
}
