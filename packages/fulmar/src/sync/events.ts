import { type ErrorCode, FulmarTypeError } from "../base/errors.js";
import { textOf } from "../base/options.js";
import type { Diagnostics } from "../base/runtime/interface.js";
import { tell } from "../base/tell.js";
import type { OriginId } from "../record/origins.js";
import type { Refusal } from "../store/port.js";

/** What a replicator tells its listeners. */
export interface ReplicatorEvents {
  /** A peer was connected or lost. */
  peer: {
    readonly id: OriginId;
    readonly name: string;
    readonly address: string;
    readonly state: "connected" | "disconnected";
    /** Why it was lost. */
    readonly code?: ErrorCode;
  };
  /** Something was merged; `peer` is absent for a pull that several peers had a part in. */
  merge: {
    readonly peer?: OriginId;
    readonly version: number;
    readonly applied: number;
    readonly stale: number;
  };
  /** Commits that this store does not take. */
  refused: { readonly peer?: OriginId; readonly refusals: readonly Refusal[] };
  /** A peer broke the protocol, or could not prove itself. */
  violation: {
    readonly peer?: OriginId;
    readonly address: string;
    readonly code: ErrorCode;
    readonly text: string;
  };
  /** The store could not merge, this node's own record could not be written, or there was no memory for a peer. */
  error: { readonly error: Error };
}

/** The name of something that a replicator tells. */
export type ReplicatorEvent = keyof ReplicatorEvents;
/** Is called at one kind of event. It must not throw or reject; if it does, nobody else suffers. */
export type ReplicatorListener<E extends ReplicatorEvent> = (event: ReplicatorEvents[E]) => void;

const EVENTS: Readonly<Record<ReplicatorEvent, true>> = {
  peer: true,
  merge: true,
  refused: true,
  violation: true,
  error: true,
};

/** Listeners by event. One that throws or rejects hurts nobody else. */
export class Events {
  readonly #listeners = new Map<ReplicatorEvent, Set<(event: never) => void>>();
  readonly #diagnostics: Diagnostics;

  constructor(diagnostics: Diagnostics) {
    this.#diagnostics = diagnostics;
  }

  /** @throws INVALID_ARGUMENT for what never happens: such a listener would wait for ever. */
  on<E extends ReplicatorEvent>(event: E, listener: ReplicatorListener<E>): () => void {
    if (typeof event !== "string" || !Object.hasOwn(EVENTS, event)) {
      const known = Object.keys(EVENTS).join(", ");
      throw new FulmarTypeError(
        "INVALID_ARGUMENT",
        `on: the event must be one of ${known}, not ${textOf(event)}`,
      );
    }
    if (typeof listener !== "function") {
      throw new FulmarTypeError("INVALID_ARGUMENT", "on: the listener must be a function");
    }
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set);
    set.add(listener);
    return () => set.delete(listener);
  }

  emit<E extends ReplicatorEvent>(event: E, details: ReplicatorEvents[E]): void {
    this.#diagnostics.emit(`sync:${event}`, () => details);
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      const report = (cause: unknown): void =>
        this.#diagnostics.emit("sync:listener", () => ({ event, cause }));
      tell(listener as ReplicatorListener<E>, details, report);
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
