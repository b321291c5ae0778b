import { compareBytes } from "../../base/bytes.js";
import { inRange, type KeyRange } from "../../keys/range.js";

/** Items of one piece at most: what a change copies while somebody walks, besides a place for each piece. */
const PIECE_ITEMS_MAX = 256;

interface Keyed {
  readonly key: Uint8Array;
}

/** Neighbours in key order. Never empty. */
class Piece<T> {
  readonly items: T[];
  readonly edition: number;

  constructor(items: T[], edition: number) {
    this.items = items;
    this.edition = edition;
  }
}

/**
 * Items in key order, of which no two have the same key. A walk shows them as they were when it began, and neither to
 * begin one nor to change something beside it costs as much as there are items: what walks may read is copied before
 * it changes, a piece at a time.
 */
export class OrderedItems<T extends Keyed> {
  #pieces: Piece<T>[] = [];
  /** One more with each walk: what has an older one may be read by a walk, and does not change any more. */
  #edition = 0;
  #piecesEdition = 0;

  constructor(items: readonly T[]) {
    const sorted = items.toSorted((a, b) => compareBytes(a.key, b.key));
    for (let at = 0; at < sorted.length; at += PIECE_ITEMS_MAX / 2) {
      this.#pieces.push(new Piece(sorted.slice(at, at + PIECE_ITEMS_MAX / 2), 0));
    }
  }

  /** Puts an item where its key belongs, in the place of the one with the same key. */
  put(item: T): void {
    const pieces = this.#ownPieces();
    if (pieces.length === 0) {
      pieces.push(new Piece([item], this.#edition));
      return;
    }
    const number = pieceOf(pieces, item.key);
    const { items } = this.#ownPiece(number);
    const index = indexIn(items, item.key);
    if (index < items.length && compareBytes(items[index].key, item.key) === 0) items[index] = item;
    else items.splice(index, 0, item);
    if (items.length <= PIECE_ITEMS_MAX) return;
    pieces.splice(number + 1, 0, new Piece(items.splice(PIECE_ITEMS_MAX / 2), this.#edition));
  }

  /** Takes the item of a key away, which is there. */
  remove(key: Uint8Array): void {
    const pieces = this.#ownPieces();
    const number = pieceOf(pieces, key);
    const { items } = this.#ownPiece(number);
    items.splice(indexIn(items, key), 1);
    if (items.length === 0) pieces.splice(number, 1);
  }

  /** The items of a range, as they are now. */
  walk(range: KeyRange, reverse: boolean): ItemWalk<T> {
    this.#edition++;
    return new ItemWalk(this.#pieces, range, reverse);
  }

  /** The pieces, which no walk reads. */
  #ownPieces(): Piece<T>[] {
    if (this.#piecesEdition !== this.#edition) this.#pieces = this.#pieces.slice();
    this.#piecesEdition = this.#edition;
    return this.#pieces;
  }

  /** A piece that no walk reads, in the place of one that some may. */
  #ownPiece(number: number): Piece<T> {
    const piece = this.#pieces[number];
    if (piece.edition === this.#edition) return piece;
    const own = new Piece(piece.items.slice(), this.#edition);
    this.#pieces[number] = own;
    return own;
  }
}

/** A way through the items of a range. */
export class ItemWalk<T extends Keyed> {
  readonly #pieces: readonly Piece<T>[];
  readonly #range: KeyRange;
  readonly #reverse: boolean;
  /** The next item; in reverse the one behind it. */
  #piece: number;
  #index: number;

  /** `pieces` do not change any more. */
  constructor(pieces: readonly Piece<T>[], range: KeyRange, reverse: boolean) {
    this.#pieces = pieces;
    this.#range = range;
    this.#reverse = reverse;
    const near = reverse ? range.to : range.from;
    this.#piece = near === undefined ? pieces.length - 1 : pieceOf(pieces, near);
    const items = pieces[this.#piece]?.items ?? [];
    this.#index = near === undefined ? items.length : indexIn(items, near);
  }

  /** A way through a part of the range, or another one, at the same time. */
  within(range: KeyRange): ItemWalk<T> {
    return new ItemWalk(this.#pieces, range, this.#reverse);
  }

  next(): T | undefined {
    const item = this.#reverse ? this.#before() : this.#behind();
    return item !== undefined && inRange(item.key, this.#range) ? item : undefined;
  }

  #behind(): T | undefined {
    for (; this.#piece < this.#pieces.length; this.#piece++, this.#index = 0) {
      const { items } = this.#pieces[this.#piece];
      if (this.#index < items.length) return items[this.#index++];
    }
    return undefined;
  }

  #before(): T | undefined {
    while (this.#index === 0) {
      if (this.#piece <= 0) return undefined;
      this.#index = this.#pieces[--this.#piece].items.length;
    }
    return this.#pieces[this.#piece].items[--this.#index];
  }
}

/** The number of the last piece that begins at or before `key`, or of the first one. */
function pieceOf<T extends Keyed>(pieces: readonly Piece<T>[], key: Uint8Array): number {
  let low = 0;
  let high = pieces.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (compareBytes(pieces[middle].items[0].key, key) <= 0) low = middle;
    else high = middle;
  }
  return low;
}

/** The index of the first item at or above `key`. */
function indexIn<T extends Keyed>(items: readonly T[], key: Uint8Array): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(items[middle].key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
