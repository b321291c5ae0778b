import type { SimulatedProcess } from "./process.js";

/** One thing that will happen at a moment of virtual time. */
export interface SimulatedEvent {
  readonly number: number;
  readonly label: string;
  /** An event of a process vanishes with it; one without an owner belongs to the outside world. */
  readonly owner: SimulatedProcess | undefined;
  /** Background events do not keep {@link Scheduler.run} going. */
  readonly background: boolean;
  readonly task: () => void;
  timeMs: number;
  cancelled: boolean;
}

function earlier(a: SimulatedEvent, b: SimulatedEvent): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.number < b.number);
}

/** A binary heap of events by (time, number), so that events of one instant keep their insertion order. */
export class EventHeap {
  #items: SimulatedEvent[] = [];

  get size(): number {
    return this.#items.length;
  }

  peek(): SimulatedEvent | undefined {
    return this.#items[0];
  }

  push(event: SimulatedEvent): void {
    const items = this.#items;
    let at = items.length;
    items.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!earlier(event, items[above] as SimulatedEvent)) break;
      items[at] = items[above] as SimulatedEvent;
      at = above;
    }
    items[at] = event;
  }

  pop(): SimulatedEvent | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (first !== last && last !== undefined) this.#sink(last, 0);
    return first;
  }

  /** Drops every event that `keep` refuses. */
  sweep(keep: (event: SimulatedEvent) => boolean): void {
    this.#items = this.#items.filter(keep);
    for (let at = (this.#items.length >> 1) - 1; at >= 0; at--)
      this.#sink(this.#items[at] as SimulatedEvent, at);
  }

  #sink(event: SimulatedEvent, from: number): void {
    const items = this.#items;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= items.length) break;
      const right = below + 1;
      if (right < items.length && earlier(items[right] as SimulatedEvent, items[below] as SimulatedEvent))
        below = right;
      if (!earlier(items[below] as SimulatedEvent, event)) break;
      items[at] = items[below] as SimulatedEvent;
      at = below;
    }
    items[at] = event;
  }
}
