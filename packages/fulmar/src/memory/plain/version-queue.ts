import type { PlainRecord } from "./record.js";

/** Emptied slots that are tolerated before the array is moved together. */
const SLACK = 1024;

/** The records of commits that are not settled, in the order of their versions. */
export class VersionQueue {
  #records: PlainRecord[] = [];
  /** Records before this index are gone. */
  #head = 0;

  push(record: PlainRecord): void {
    this.#records.push(record);
  }

  /** Takes out the records up to `version`, oldest first. */
  takeThrough(version: number): PlainRecord[] {
    const from = this.#head;
    while (this.#head < this.#records.length && this.#records[this.#head].version <= version) this.#head++;
    const taken = this.#records.slice(from, this.#head);
    if (
      this.#head === this.#records.length ||
      (this.#head > SLACK && 2 * this.#head > this.#records.length)
    ) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
    return taken.filter(({ live }) => live);
  }

  /** Takes out the records above `version`, newest first. */
  takeAbove(version: number): PlainRecord[] {
    let end = this.#records.length;
    while (end > this.#head && this.#records[end - 1].version > version) end--;
    return this.#records
      .splice(end)
      .reverse()
      .filter(({ live }) => live);
  }

  /** Those that were not replaced within their own commit. */
  live(): PlainRecord[] {
    return this.#records.slice(this.#head).filter(({ live }) => live);
  }
}
