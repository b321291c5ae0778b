import { FulmarError } from "../base/errors.js";
import { ORIGINS_MAX } from "../base/limits.js";
import { Coverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";
import type { Cut, StorePort } from "../store/port.js";
import { CutReader, type CutReaderOptions, type PageContent } from "./cut-reader.js";
import { Fruitless } from "./fruitless.js";
import { difference, lagOf } from "./intervals.js";
import {
  CUT_LEASE_MS,
  HOLES_IN_MESSAGE_MAX,
  PAGE_BYTES_MAX,
  WINDOW_BYTES_MAX,
  WINDOW_PAGES_MAX,
} from "./protocol/limits.js";
import type { Page, State, Taken } from "./protocol/messages.js";

/** What the sending half of a session needs of its surroundings. */
export interface SenderOptions {
  readonly port: Pick<StorePort, "coverage" | "cut" | "engine" | "incarnation">;
  readonly pageBytes: number;
  /** Without any sign of life about a cut for so long, the peer is asked. */
  readonly ackTimeoutMs: number;
  readonly nowMs: () => number;
  /** Bytes waiting in the connection. */
  readonly queuedBytes: () => number;
  readonly sendPage: (page: Page) => void;
  readonly sendAsk: (number: number) => void;
  /** Calls {@link Sender.tick} after so long at the latest; a later call replaces an earlier one. */
  readonly wake: (delayMs: number) => void;
  /** How long news that the peer hears first hand may wait for it to say so. */
  readonly relayDelayMs: number;
}

/** The one cut on its way to the peer. */
interface Flight {
  readonly number: number;
  readonly interval: { readonly from: Coverage; readonly to: Coverage };
  readonly reader: CutReader;
  readonly onStage: boolean;
  readonly epoch: number;
  cut: Cut | undefined;
  /** A page that is read and does not fit the window yet. */
  waiting: PageContent | undefined;
  /** Bytes of each page that is sent and not confirmed. */
  readonly unconfirmed: number[];
  sent: number;
  confirmed: number;
  isAllSent: boolean;
  /** The ASK that the next decision waits for, or 0. */
  asked: number;
  progressMs: number;
  askedMs: number;
}

/** Figures for the status. */
export interface SenderCounts {
  cuts: number;
  abandoned: number;
  entries: number;
}

/**
 * The sending half of a session: a state machine without timers or connection of its own. It keeps what
 * the peer has stated, and whenever the peer lacks something sends it one cut: at once when none is in
 * flight, otherwise when the one in flight is answered. Nothing rests on the order of arrival: the peer's
 * statements only grow, and a cut that is not answered is given up and begun afresh from what the peer
 * states then.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly counts: SenderCounts = { cuts: 0, abandoned: 0, entries: 0 };
  /** What the peer covers for good. */
  readonly known = new Coverage();
  #staged: Coverage | undefined;
  #epoch = 0;
  #stateNumber = 0;
  #flags = { pulling: false, stalled: false };
  /** The peer has asked for what it refused; holds until a cut with it is begun. */
  #wantsHoles = false;
  /** Nothing is begun before the peer has made another statement. */
  #needsState = true;
  #neighbours: ReadonlySet<OriginId> = new Set();
  readonly #fruitless = new Fruitless();
  #flight: Flight | undefined;
  #cutNumber = 0;
  #askNumber = 0;
  #askedMs = 0;
  #relaySinceMs: number | undefined;
  #behindSinceMs: number | undefined;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** How long the peer has lacked something that was synced here, in ms; 0 when it lacks nothing. */
  get lagMs(): number {
    return this.#behindSinceMs === undefined ? 0 : this.#options.nowMs() - this.#behindSinceMs;
  }

  get lagCommits(): number {
    return lagOf(this.#options.port.coverage(), this.known);
  }

  /** The peer has shown that it covers this, by sending it. */
  learn(coverage: Coverage): void {
    this.known.join(coverage);
    let holes = 0;
    for (const [, item] of this.known.origins()) holes += item.holes.length;
    if (this.known.size > ORIGINS_MAX || holes > HOLES_IN_MESSAGE_MAX) {
      throw new FulmarError("PROTOCOL_VIOLATION", "claims more origins, or holes, than a store could have");
    }
  }

  /** False for a statement that was overtaken by a newer one. */
  receiveState(state: State): boolean {
    if (state.number <= this.#stateNumber) return false;
    this.#stateNumber = state.number;
    this.learn(state.coverage);
    this.#staged = state.staged;
    this.#epoch = state.epoch;
    this.#flags = { pulling: state.pulling, stalled: state.stalled };
    if (state.retryHoles) this.#wantsHoles = true;
    if (state.neighbours !== undefined) this.#neighbours = new Set(state.neighbours);
    this.#needsState = false;
    this.#judgeFlight(state);
    this.pump();
    return true;
  }

  receiveTaken(taken: Taken): void {
    const flight = this.#flight;
    if (flight === undefined || taken.cut !== flight.number) return;
    if (taken.verdict !== "taken") {
      this.#abandon();
      this.#needsState = true;
      this.#ask();
      return;
    }
    this.#confirm(flight, Math.min(taken.pages, flight.sent));
    this.pump();
  }

  /** Sends what can be sent now. To be called when the store has synced more, and when the connection drained. */
  pump(): void {
    if (this.#closed) return;
    if (this.#flight === undefined) this.#begin();
    if (this.#flight !== undefined) this.#sendPages(this.#flight);
  }

  /** Time has passed: asks about a cut that is not answered, gives up one that the peer does not take. */
  tick(): void {
    if (this.#closed) return;
    const now = this.#options.nowMs();
    const flight = this.#flight;
    if (flight === undefined) {
      if (this.#needsState && now - this.#askedMs >= this.#options.ackTimeoutMs) this.#ask();
      else if (this.#needsState) this.#options.wake(this.#askedMs + this.#options.ackTimeoutMs - now);
      this.pump();
      return;
    }
    if (now - flight.progressMs >= CUT_LEASE_MS && !flight.isAllSent) {
      this.#abandon();
      this.#needsState = true;
      this.#ask();
      return;
    }
    const quietMs = now - Math.max(flight.progressMs, flight.askedMs);
    if (quietMs >= this.#options.ackTimeoutMs) {
      flight.asked = this.#ask();
      flight.askedMs = now;
    } else {
      this.#options.wake(this.#options.ackTimeoutMs - quietMs);
    }
  }

  close(): void {
    this.#closed = true;
    this.#abandon();
  }

  #begin(): void {
    if (this.#needsState || this.#flags.stalled) return;
    const { port, nowMs } = this.#options;
    const withHoles = this.#wantsHoles;
    const ours = port.coverage();
    if (this.known.reaches(ours)) this.#behindSinceMs = undefined;
    else this.#behindSinceMs ??= nowMs();
    const base = this.#base();
    if (withHoles ? base.includes(ours) : base.reaches(ours)) {
      this.#relaySinceMs = undefined;
      this.#wantsHoles = false;
      return;
    }
    if (!withHoles && this.#mayWait(base, ours)) return;
    const restMs = this.#fruitless.restMs(this.known, base, nowMs());
    if (restMs > 0) {
      this.#options.wake(restMs);
      return;
    }
    this.#relaySinceMs = undefined;
    this.#wantsHoles = false;
    this.#launch(base, withHoles);
  }

  /** Pins a cut and reads its first page. */
  #launch(base: Coverage, withHoles: boolean): void {
    const { port, nowMs, pageBytes, ackTimeoutMs, wake } = this.#options;
    const cut = port.cut();
    const interval = difference(base, cut.coverage, withHoles);
    if (interval.to.size === 0) {
      cut.release();
      return;
    }
    const { engine } = port;
    const { reader, waiting } = begun({ engine, cut, interval, pageBytes, splitBytes: PAGE_BYTES_MAX });
    wake(ackTimeoutMs);
    if (this.#flags.pulling && !waiting.last) {
      // Another peer's pull is under way there and this would be a second one: wait until it is over.
      cut.release();
      this.#needsState = true;
      this.#askedMs = nowMs();
      return;
    }
    this.#cutNumber++;
    this.counts.cuts++;
    this.#flight = {
      number: this.#cutNumber,
      interval,
      reader,
      onStage: this.#staged !== undefined,
      epoch: this.#epoch,
      cut,
      waiting,
      unconfirmed: [],
      sent: 0,
      confirmed: 0,
      isAllSent: false,
      asked: 0,
      progressMs: nowMs(),
      askedMs: 0,
    };
  }

  #base(): Coverage {
    if (this.#staged === undefined) return this.known;
    const base = this.known.copy();
    base.join(this.#staged);
    return base;
  }

  /**
   * News only of writers that the peer is connected to itself reaches it without our help, so it is given
   * a moment to say so. In a mesh this saves one copy per neighbour; in a chain it never applies.
   */
  #mayWait(base: Coverage, ours: Coverage): boolean {
    const { port, nowMs, relayDelayMs, wake } = this.#options;
    if (relayDelayMs === 0) return false;
    for (const [origin, coverage] of ours.origins()) {
      if (coverage.upTo <= base.of(origin).upTo) continue;
      if (origin === port.incarnation || !this.#neighbours.has(origin)) return false;
    }
    this.#relaySinceMs ??= nowMs();
    const leftMs = this.#relaySinceMs + relayDelayMs - nowMs();
    if (leftMs <= 0) return false;
    wake(leftMs);
    return true;
  }

  #sendPages(flight: Flight): void {
    while (flight.waiting !== undefined && this.#hasRoom(flight, flight.waiting.entries.bytes.length)) {
      const content = flight.waiting;
      const index = flight.sent++;
      flight.unconfirmed.push(content.entries.bytes.length);
      flight.progressMs = this.#options.nowMs();
      flight.waiting = content.last ? undefined : flight.reader.next();
      this.counts.entries += content.entries.count;
      const { from, to } = index === 0 ? flight.interval : { from: new Coverage(), to: new Coverage() };
      const { number: cut, onStage, epoch } = flight;
      this.#options.sendPage({ type: "page", cut, index, onStage, epoch, from, to, ...content });
      if (content.last) {
        flight.isAllSent = true;
        this.#release(flight);
      }
      if (this.#flight !== flight) return;
    }
  }

  #hasRoom(flight: Flight, bytes: number): boolean {
    const queued = this.#options.queuedBytes();
    if (flight.unconfirmed.length === 0) return queued === 0 || queued + bytes <= WINDOW_BYTES_MAX;
    let inFlight = bytes;
    for (const page of flight.unconfirmed) inFlight += page;
    return (
      flight.unconfirmed.length < WINDOW_PAGES_MAX &&
      inFlight <= WINDOW_BYTES_MAX &&
      queued + bytes <= WINDOW_BYTES_MAX
    );
  }

  #confirm(flight: Flight, pages: number): void {
    if (pages <= flight.confirmed) return;
    flight.unconfirmed.splice(0, pages - flight.confirmed);
    flight.confirmed = pages;
    flight.progressMs = this.#options.nowMs();
    flight.asked = 0;
  }

  /** What a statement of the peer says about the cut in flight. */
  #judgeFlight(state: State): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    if (state.doneCut >= flight.number) {
      this.#fruitless.answered(flight.interval.to);
      this.#finish();
      return;
    }
    const isOpen = state.openCut === flight.number;
    if (isOpen) this.#confirm(flight, Math.min(state.openPages, flight.sent));
    if (flight.asked === 0 || state.answers < flight.asked) return;
    flight.asked = 0;
    // The peer speaks after everything sent: what it has not by now is lost.
    if (isOpen && state.openPages >= flight.sent) flight.progressMs = this.#options.nowMs();
    else this.#abandon();
  }

  #finish(): void {
    if (this.#flight !== undefined) this.#release(this.#flight);
    this.#flight = undefined;
  }

  #abandon(): void {
    if (this.#flight === undefined) return;
    this.counts.abandoned++;
    this.#finish();
  }

  #release(flight: Flight): void {
    flight.cut?.release();
    flight.cut = undefined;
  }

  #ask(): number {
    this.#askNumber++;
    this.#askedMs = this.#options.nowMs();
    this.#options.sendAsk(this.#askNumber);
    this.#options.wake(this.#options.ackTimeoutMs);
    return this.#askNumber;
  }
}

/** A reader and its first page. Where there is no memory for them nobody else would let go of the cut. */
function begun(options: CutReaderOptions & { readonly cut: Cut }): {
  reader: CutReader;
  waiting: PageContent;
} {
  try {
    const reader = new CutReader(options);
    return { reader, waiting: reader.next() };
  } catch (cause) {
    options.cut.release();
    throw cause;
  }
}
