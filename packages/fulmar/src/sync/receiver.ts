import { Coverage } from "../record/coverage.js";
import type { OriginTable } from "../record/origins.js";
import { localEntries } from "./entries.js";
import type { Inbox } from "./inbox.js";
import { beyond, prefixOf } from "./intervals.js";
import type { Page, Verdict } from "./protocol/messages.js";

/** What the receiving half of a session needs of its surroundings. */
export interface ReceiverOptions {
  readonly inbox: Inbox;
  readonly origins: OriginTable;
  /** Identifies the session towards the inbox. */
  readonly session: object;
  readonly sendTaken: (verdict: Verdict, cut: number, pages: number) => void;
  /** States to this peer what is covered now: the answer to a cut. */
  readonly sendState: () => void;
  /** The peer covers what it sends. */
  readonly learn: (coverage: Coverage) => void;
}

/** The cut that is being received. */
interface Open {
  readonly number: number;
  /** Exactly what the cut brings. */
  readonly brings: Coverage;
  readonly direct: boolean;
  /** What the pages stand on was stated in this epoch. */
  readonly epoch: number;
  /** What the pages taken so far bring. */
  prefix: Coverage;
  pages: number;
  merging: boolean;
}

/**
 * The receiving half of a session. A cut of one page that starts at what is covered is merged at once;
 * anything else is staged. Pages are taken in order of their index only: one that is repeated, late or
 * behind a gap changes nothing, and the sender finds out from what is stated.
 */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly counts = { pages: 0, entries: 0, ignored: 0 };
  #open: Open | undefined;
  #doneCut = 0;
  #closed = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** How far it is, for a STATE. */
  progress(): { doneCut: number; openCut: number; openPages: number } {
    return {
      doneCut: this.#doneCut,
      openCut: this.#open?.number ?? 0,
      openPages: this.#open?.pages ?? 0,
    };
  }

  receive(page: Page): void {
    if (page.cut <= this.#doneCut) {
      this.counts.ignored++;
      this.#options.sendState();
      return;
    }
    const open = this.#open;
    if (open === undefined || page.cut > open.number) {
      if (open?.merging === true) this.#refuse("stalled", page);
      else if (page.index === 0) this.#begin(page);
      else this.counts.ignored++;
      return;
    }
    if (page.cut !== open.number || page.index !== open.pages || open.merging) {
      this.counts.ignored++;
      if (page.cut === open.number) this.#options.sendTaken("taken", open.number, open.pages);
      return;
    }
    const { inbox } = this.#options;
    const isOver = open.epoch !== inbox.epoch;
    if (isOver || inbox.blocked) {
      this.#abandon();
      this.#refuse(isOver ? "gap" : "stalled", page);
      return;
    }
    this.#take(open, page);
  }

  close(): void {
    this.#closed = true;
    this.#open = undefined;
    this.#options.inbox.release(this.#options.session);
  }

  #begin(page: Page): void {
    const { inbox, session, learn } = this.#options;
    this.#abandon();
    learn(page.to);
    if (inbox.blocked) {
      this.#refuse("stalled", page);
      return;
    }
    const direct = page.last && inbox.isDirect(page.from, page.epoch, page.onStage);
    if (!direct) {
      // Merging what starts beyond our coverage could show half of a transaction: it is not taken, and
      // the sender starts again from what we state.
      if (!inbox.fits(page.from, page.epoch, page.onStage)) {
        this.#refuse("gap", page);
        return;
      }
      if (!page.last && !inbox.claim(session)) {
        this.#refuse("pulling", page);
        return;
      }
      inbox.aim(page.to);
    }
    this.#open = {
      number: page.cut,
      brings: beyond(page.from, page.to),
      direct,
      epoch: inbox.epoch,
      prefix: new Coverage(),
      pages: 0,
      merging: false,
    };
    this.#take(this.#open, page);
  }

  #take(open: Open, page: Page): void {
    const { inbox, origins, session, sendTaken, sendState } = this.#options;
    open.pages++;
    this.counts.pages++;
    this.counts.entries += page.entries.count;
    const entries = localEntries(page, origins);
    if (open.direct) {
      open.merging = true;
      void this.#merge(open, entries);
      return;
    }
    const prefix = page.last ? open.brings : prefixOf(open.brings, page.throughOrigin, page.throughSeq);
    const claims = beyond(open.prefix, prefix);
    open.prefix = prefix;
    if (!page.last) {
      sendTaken("taken", open.number, open.pages);
      inbox.stage(entries, claims, !page.partial);
      return;
    }
    this.#open = undefined;
    this.#doneCut = open.number;
    inbox.stage(entries, claims, true);
    inbox.release(session);
    sendState();
  }

  async #merge(open: Open, entries: Uint8Array): Promise<void> {
    const { inbox, session, sendState } = this.#options;
    const success = await inbox.merge(entries, open.brings, session);
    if (this.#closed || this.#open !== open) return;
    this.#open = undefined;
    if (success) this.#doneCut = open.number;
    sendState();
  }

  #refuse(verdict: Verdict, page: Page): void {
    this.counts.ignored++;
    this.#options.sendTaken(verdict, page.cut, 0);
  }

  /** The sender has begun afresh: what is staged of the old cut stays. */
  #abandon(): void {
    if (this.#open === undefined) return;
    this.#open = undefined;
    this.#options.inbox.release(this.#options.session);
  }
}
