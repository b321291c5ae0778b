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
  #runs: Run[] = [];
  #notices: CommitNotice[] = [];

  constructor(version: number) {
    this.#published = version;
  }

  get published(): number {
    return this.#published;
  }

  add(version: number, need: Need): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.need === need) last.through = version;
    else this.#runs.push({ through: version, need });
  }

  notify(notice: CommitNotice): void {
    this.#notices.push(notice);
  }

  /** Moves on as far as the log has come, and returns the commits that may now be shown, in order. */
  advance(logged: number, synced: number): readonly CommitNotice[] {
    while (this.#runs.length > 0) {
      const { through, need } = this.#runs[0];
      const reached = need === NEEDS_SYNCED ? synced : logged;
      this.#published = Math.max(this.#published, Math.min(through, reached));
      if (reached < through) break;
      this.#runs.shift();
    }
    if (this.#notices.length === 0) return NOTHING;
    let shown = 0;
    while (shown < this.#notices.length && this.#notices[shown].version <= this.#published) shown++;
    return shown === 0 ? NOTHING : this.#notices.splice(0, shown);
  }

  rollback(version: number): void {
    while (this.#notices.length > 0 && this.#notices[this.#notices.length - 1].version > version) {
      this.#notices.pop();
    }
    while (this.#runs.length > 0 && this.#runs[this.#runs.length - 1].through > version) {
      const run = this.#runs[this.#runs.length - 1];
      const before = this.#runs.at(-2)?.through ?? this.#published;
      if (before < version) {
        run.through = version;
        break;
      }
      this.#runs.pop();
    }
  }
}
