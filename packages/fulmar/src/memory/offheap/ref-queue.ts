import { NONE, type Ref } from "../engine.js";
import { NO_NODE, type Node, type NodePool } from "./node-pool.js";

const NEXT = 0;
const PREVIOUS = 1;
const REFS = 2;

/** References in a row of pages: added at the end, taken from both ends. Empty, it holds no page. */
export class RefQueue {
  readonly #pool: NodePool;
  readonly #pageRefs: number;
  #firstPage: Node = NO_NODE;
  #lastPage: Node = NO_NODE;
  /** Index of the first reference in the first page, and of the one behind the last in the last page. */
  #head = 0;
  #tail = 0;
  #size = 0;

  constructor(pool: NodePool) {
    this.#pool = pool;
    this.#pageRefs = pool.nodeWords - REFS;
  }

  get size(): number {
    return this.#size;
  }

  push(ref: Ref): void {
    if (this.#lastPage === NO_NODE || this.#tail === this.#pageRefs) this.#addPage();
    this.#set(this.#lastPage, REFS + this.#tail++, ref);
    this.#size++;
  }

  /** The oldest reference, or NONE. */
  first(): Ref {
    return this.#size === 0 ? NONE : this.#get(this.#firstPage, REFS + this.#head);
  }

  /** The newest reference, or NONE. */
  last(): Ref {
    return this.#size === 0 ? NONE : this.#get(this.#lastPage, REFS + this.#tail - 1);
  }

  shift(): void {
    this.#head++;
    this.#size--;
    if (this.#size === 0) this.#clear();
    else if (this.#head === this.#pageRefs) {
      const page = this.#firstPage;
      this.#firstPage = this.#get(page, NEXT);
      this.#pool.give(page);
      this.#head = 0;
    }
  }

  pop(): void {
    this.#tail--;
    this.#size--;
    if (this.#size === 0) this.#clear();
    else if (this.#tail === 0) {
      const page = this.#lastPage;
      this.#lastPage = this.#get(page, PREVIOUS);
      this.#pool.give(page);
      this.#tail = this.#pageRefs;
    }
  }

  *[Symbol.iterator](): IterableIterator<Ref> {
    let page = this.#firstPage;
    let index = this.#head;
    for (let i = 0; i < this.#size; i++) {
      if (index === this.#pageRefs) {
        page = this.#get(page, NEXT);
        index = 0;
      }
      yield this.#get(page, REFS + index++);
    }
  }

  /** Pages that are held. */
  get pages(): number {
    let count = 0;
    for (let page = this.#firstPage; page !== NO_NODE; page = this.#get(page, NEXT)) {
      count++;
      if (page === this.#lastPage) break;
    }
    return count;
  }

  #addPage(): void {
    const page = this.#pool.take();
    this.#set(page, PREVIOUS, this.#lastPage);
    if (this.#lastPage === NO_NODE) {
      this.#firstPage = page;
      this.#head = 0;
    } else this.#set(this.#lastPage, NEXT, page);
    this.#lastPage = page;
    this.#tail = 0;
  }

  /** At most one page is left when the last reference goes. */
  #clear(): void {
    this.#pool.give(this.#lastPage);
    this.#firstPage = NO_NODE;
    this.#lastPage = NO_NODE;
  }

  #get(page: Node, index: number): number {
    return this.#pool.words(page)[this.#pool.base(page) + index];
  }

  #set(page: Node, index: number, value: number): void {
    this.#pool.words(page)[this.#pool.base(page) + index] = value;
  }
}
