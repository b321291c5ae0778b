import { Coverage, type OriginCoverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";
import type { StorePort } from "../store/port.js";
import type { Inbox, Standing } from "./inbox.js";
import { NEIGHBOURS_MAX } from "./protocol/limits.js";
import type { State } from "./protocol/messages.js";

export interface StatementsOptions {
  readonly port: StorePort;
  readonly inbox: Inbox;
  /** Identifies the session towards the inbox. */
  readonly session: object;
  /** How far the peer's cut is. */
  readonly progress: () => Pick<State, "doneCut" | "openCut" | "openPages">;
  readonly neighbours: () => OriginId[];
}

/** What one session has stated to its peer, and what it states next. */
export class Statements {
  readonly #options: StatementsOptions;
  readonly #stated = new Map<OriginId, OriginCoverage>();
  #number = 0;
  #answers = 0;
  #standing = "";

  constructor(options: StatementsOptions) {
    this.#options = options;
  }

  /** The peer asks: from now on every statement says that it answers. */
  asked(number: number): void {
    this.#answers = Math.max(this.#answers, number);
  }

  /** The next statement. `whole`: everything rather than what changed. */
  next(whole: boolean, retryHoles: boolean): State {
    const { port, inbox, session, progress, neighbours } = this.#options;
    const standing = inbox.standing(session);
    this.#standing = summary(standing);
    this.#number++;
    return {
      type: "state",
      number: this.#number,
      answers: this.#answers,
      ...progress(),
      ...standing,
      wallMs: Math.max(0, Math.floor(port.runtime.clock.wallMs())),
      retryHoles,
      coverage: this.#coverage(whole),
      neighbours: whole ? neighbours().slice(0, NEIGHBOURS_MAX) : undefined,
    };
  }

  /** Whether the peer has reason to know something that was not stated yet. */
  hasNews(): boolean {
    const { port, inbox, session } = this.#options;
    const standing = inbox.standing(session);
    if (standing.staged !== undefined || this.#standing !== summary(standing)) return true;
    for (const [origin, coverage] of port.coverage().origins()) {
      // Own commits are no news: the cut that brings them says so.
      if (origin !== port.incarnation && this.#stated.get(origin) !== coverage) return true;
    }
    return false;
  }

  #coverage(whole: boolean): Coverage {
    const statement = new Coverage();
    for (const [origin, coverage] of this.#options.port.coverage().origins()) {
      if (!whole && this.#stated.get(origin) === coverage) continue;
      this.#stated.set(origin, coverage);
      statement.set(origin, coverage);
    }
    return statement;
  }
}

function summary({ epoch, pulling, stalled, staged }: Standing): string {
  return `${epoch} ${pulling} ${stalled} ${staged !== undefined}`;
}
