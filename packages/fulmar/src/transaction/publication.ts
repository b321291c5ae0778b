import { Fifo } from "../base/fifo.js";
import { listOf } from "../base/uncounted.js";

/** How durable a commit must be before anybody outside may see it. */
export const NEEDS_LOGGED = 1;
export const NEEDS_SYNCED = 2;
export type Need = typeof NEEDS_LOGGED | typeof NEEDS_SYNCED;

/** Commits up to `through` that share a need. */
interface Run {
  through: number;
  readonly need: Need;
}

/** A commit that somebody watches: which keys it changed. */
export interface CommitNotice {
  readonly version: number;
  readonly remote: boolean;
  readonly keys: readonly Uint8Array[];
}

const NOTHING: readonly CommitNotice[] = Object.freeze([]);

/**
 * Decides up to which version commits are published: in order, each only when it is as durable as it
 * asked for. Neighbours with equal needs form one run, so the queue stays short at any load.
 */
export class Publication {
  #published: number;
  readonly #runs = new Fifo<Run>();
  readonly #notices = new Fifo<CommitNotice>();

  constructor(version: number) {
    this.#published = version;
  }

  get published(): number {
    return this.#published;
  }

  add(version: number, need: Need): void {
    const { last } = this.#runs;
    if (last !== undefined && last.need === need) last.through = version;
    else this.#runs.push({ through: version, need });
  }

  notify(notice: CommitNotice): void {
    this.#notices.push(notice);
  }

  /** Moves on as far as the log has come, and returns the commits that may now be shown, in order. */
  advance(logged: number, synced: number): readonly CommitNotice[] {
    for (let run = this.#runs.first; run !== undefined; run = this.#runs.first) {
      const reached = run.need === NEEDS_SYNCED ? synced : logged;
      this.#published = Math.max(this.#published, Math.min(run.through, reached));
      if (reached < run.through) break;
      this.#runs.shift();
    }
    let shown: CommitNotice[] | undefined;
    for (let notice = this.#notices.first; notice !== undefined; notice = this.#notices.first) {
      if (notice.version > this.#published) break;
      this.#notices.shift();
      shown ??= listOf();
      shown.push(notice);
    }
    return shown ?? NOTHING;
  }

  rollback(version: number): void {
    while ((this.#notices.last?.version ?? version) > version) this.#notices.pop();
    for (let run = this.#runs.last; run !== undefined && run.through > version; run = this.#runs.last) {
      this.#runs.pop();
      const before = this.#runs.last?.through ?? this.#published;
      if (before >= version) continue;
      run.through = version;
      this.#runs.push(run);
      break;
    }
  }
}
