/** A promise that waits for a version to become durable. */
export interface Waiter {
  readonly version: number;
  readonly outcome: unknown;
  /** Resolves it, which is to be done with its own outcome. */
  readonly resolve: (outcome: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A waiter in line, and who comes after it. */
class Place implements Waiter {
  readonly version: number;
  readonly outcome: unknown;
  readonly resolve: (outcome: unknown) => void;
  readonly reject: (error: Error) => void;
  next: Place | undefined = undefined;

  constructor(
    version: number,
    outcome: unknown,
    resolve: (outcome: unknown) => void,
    reject: (error: Error) => void,
  ) {
    this.version = version;
    this.outcome = outcome;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** Waiters in order of their versions: a queue, since durability only grows. */
export class Waiters {
  #first: Place | undefined;
  #last: Place | undefined;

  add(
    version: number,
    outcome: unknown,
    resolve: (outcome: unknown) => void,
    reject: (error: Error) => void,
  ): void {
    const place = new Place(version, outcome, resolve, reject);
    if (this.#last === undefined) this.#first = place;
    else this.#last.next = place;
    this.#last = place;
  }

  /** Resolves everybody who waits for a version up to `version`. */
  release(version: number): void {
    for (let place = this.#first; place !== undefined; place = this.#first) {
      if (place.version > version) return;
      this.#first = place.next;
      if (place.next === undefined) this.#last = undefined;
      // An old place that led to new ones would keep all of them from being collected.
      place.next = undefined;
      place.resolve(place.outcome);
    }
  }

  /** Removes and returns everybody who waits for a version above `version`. */
  takeAbove(version: number): Waiter[] {
    const taken: Waiter[] = [];
    let before: Place | undefined;
    let place = this.#first;
    for (; place !== undefined && place.version <= version; place = place.next) before = place;
    for (; place !== undefined; place = place.next) taken.push(place);
    if (before === undefined) this.#first = undefined;
    else before.next = undefined;
    this.#last = before;
    return taken;
  }
}
