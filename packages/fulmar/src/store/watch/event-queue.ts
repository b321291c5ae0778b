import { assert } from "../../base/assert.js";
import { Fifo } from "../../base/fifo.js";
import { keyText } from "../../keys/key-text.js";
import type { CommitEvent, Gap } from "../types.js";
import type { Shown } from "./changes.js";

/** What a commit takes besides its changes, about, in bytes. */
const EVENT_BYTES = 128;

/** How much may wait for a consumer. */
export interface QueueLimits {
  readonly bytes: number;
  readonly commits: number;
}

/**
 * Commits that wait for a consumer, in order. It takes one more as long as it is below its limits, so that a
 * single commit of any size gets through. When it coalesces, all that waits is one event with the latest
 * change of each key.
 */
export class EventQueue<V> {
  readonly #limits: QueueLimits;
  readonly #coalesces: boolean;
  readonly #events = new Fifo<{ readonly event: CommitEvent<V>; readonly sizeBytes: number }>();
  #bytes = 0;
  #latest = new Map<string, Shown<V>>();
  #version = 0;
  #remote = false;
  /** Comes before all else. */
  #gap: Gap | undefined;

  constructor(limits: QueueLimits, coalesces: boolean) {
    this.#limits = limits;
    this.#coalesces = coalesces;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#limits.bytes || this.#events.size >= this.#limits.commits;
  }

  push(version: number, remote: boolean, shown: readonly Shown<V>[]): void {
    if (this.#coalesces) this.#merge(version, remote, shown);
    else {
      const changes = shown.map(({ change }) => change);
      const sizeBytes = shown.reduce((sum, { sizeBytes: bytes }) => sum + bytes, EVENT_BYTES);
      this.#events.push({ event: { version, remote, changes }, sizeBytes });
      this.#bytes += sizeBytes;
    }
  }

  /** Says that commits are missing. Only when nothing waits; it takes no room from what comes behind it. */
  pushGap(gap: Gap): void {
    const isEmpty = this.#gap === undefined && this.#events.size === 0 && this.#latest.size === 0;
    assert(isEmpty, "a gap comes after everything before it");
    this.#gap = gap;
  }

  shift(): CommitEvent<V> | undefined {
    const gap = this.#gap;
    if (gap !== undefined) {
      this.#gap = undefined;
      return { version: gap.through, remote: false, changes: [], gap };
    }
    const first = this.#events.shift();
    if (first === undefined) return this.#latest.size > 0 ? this.#takeMerged() : undefined;
    this.#bytes -= first.sizeBytes;
    return first.event;
  }

  clear(): void {
    this.#events.clear();
    this.#gap = undefined;
    this.#latest.clear();
    this.#bytes = 0;
  }

  #merge(version: number, remote: boolean, shown: readonly Shown<V>[]): void {
    for (const one of shown) {
      const text = keyText(one.key);
      this.#bytes += one.sizeBytes - (this.#latest.get(text)?.sizeBytes ?? 0);
      // The latest last, as if the keys had been written in this order.
      this.#latest.delete(text);
      this.#latest.set(text, one);
    }
    this.#version = version;
    this.#remote ||= remote;
  }

  #takeMerged(): CommitEvent<V> {
    const changes = Array.from(this.#latest.values(), ({ change }) => change);
    const event = { version: this.#version, remote: this.#remote, changes };
    this.#latest = new Map();
    this.#bytes = 0;
    this.#remote = false;
    return event;
  }
}
