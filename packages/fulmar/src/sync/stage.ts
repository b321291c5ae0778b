import { Coverage } from "../record/coverage.js";
import type { Refusal } from "../store/port.js";
import { beyond } from "./intervals.js";
import { CUT_LEASE_MS, STAGE_PATIENCE_MS } from "./protocol/limits.js";

/** A commit, by its number. */
type Dot = Pick<Refusal, "origin" | "seq">;

/** Entries of pulled pages, numbered by the store's origins, and what the store covers once they are merged. */
export interface StagedPages {
  readonly pages: readonly Uint8Array[];
  readonly claims: Coverage;
}

/**
 * The pages of pulls that are not complete: kept in memory, not visible to anyone, so that a pull of
 * several pages is published as one commit. It outlives the connection that filled it: what it holds is
 * stated to the next peer, who carries on from there.
 *
 * Why the union of parts from different peers is right: a page claims a prefix, in (origin, seq) order, of
 * one state of its sender. Every commit in a claim is then here, or was replaced by a commit that is here
 * or not yet claimed. Once everything that any part aimed at ({@link #target}) is claimed, nothing is left
 * that could be owed, and the whole is the union of complete states: no transaction shows half.
 */
export class Stage {
  #pages: Uint8Array[] = [];
  #bytes = 0;
  #claims = new Coverage();
  /** Claims of the pages that are being published. */
  #publishedClaims = new Coverage();
  #target = new Coverage();
  #owner: object | undefined;
  #progressMs = 0;
  #epoch = 1;
  #publishing = false;
  #isWhole = true;

  /** Bytes held, those being published not counted. */
  get bytes(): number {
    return this.#bytes;
  }

  get pages(): number {
    return this.#pages.length;
  }

  get owner(): object | undefined {
    return this.#owner;
  }

  /** Changes when claims that were stated are withdrawn. */
  get epoch(): number {
    return this.#epoch;
  }

  get publishing(): boolean {
    return this.#publishing;
  }

  /** Whether there is something to publish. */
  holdsNews(): boolean {
    return this.#pages.length > 0 || this.#claims.size > 0;
  }

  /** Whether it holds or claims nothing beyond `own`. */
  isIdle(own: Coverage): boolean {
    return !this.#publishing && this.#pages.length === 0 && own.includes(this.#claims);
  }

  /** What is covered, the staged pages included. */
  virtual(own: Coverage): Coverage {
    const whole = own.copy();
    whole.join(this.#publishedClaims);
    whole.join(this.#claims);
    return whole;
  }

  /** What is covered beyond `own`; undefined when nothing is. */
  beyond(own: Coverage): Coverage | undefined {
    const staged = beyond(own, this.virtual(own));
    return staged.size === 0 ? undefined : staged;
  }

  /** Makes `owner` the one whose pull of several pages goes on. False while another's does. */
  claim(owner: object, nowMs: number): boolean {
    if (this.#owner !== undefined && this.#owner !== owner) return false;
    this.#owner = owner;
    this.#progressMs = nowMs;
    return true;
  }

  /** The owner's pull is complete or broken off. True when it was the owner. */
  release(owner: object): boolean {
    if (this.#owner !== owner) return false;
    this.#owner = undefined;
    return true;
  }

  /** A cut that these pages belong to aims at `to`. */
  aim(to: Coverage): void {
    this.#target.join(to);
  }

  /** Keeps a page. `isWhole`: it does not end inside a commit. */
  add(page: Uint8Array, claims: Coverage, isWhole: boolean, nowMs: number): void {
    if (page.length > 0) this.#pages.push(page);
    this.#bytes += page.length;
    this.#claims.join(claims);
    this.#progressMs = nowMs;
    this.#isWhole = isWhole;
  }

  /** Whether everything that was aimed at is there. */
  isComplete(own: Coverage): boolean {
    return this.virtual(own).includes(this.#target);
  }

  /** Whether publishing now would not show half of one commit. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /**
   * Hands everything out for publishing; the claims, which stay stated meanwhile, only with the last part: what
   * replaced a claimed commit may be in a part that never comes, if its sender is lost.
   */
  take(isComplete: boolean): StagedPages {
    const taken = { pages: this.#pages, claims: isComplete ? this.#claims : new Coverage() };
    this.#pages = [];
    this.#bytes = 0;
    if (isComplete) {
      this.#publishedClaims = this.#claims;
      this.#claims = new Coverage();
    }
    this.#publishing = true;
    return taken;
  }

  /** The pages taken are merged, but for some refused commits; or, without these, they have to stay. */
  published(taken: StagedPages, refusals: readonly Dot[] | undefined, own: Coverage): void {
    this.#publishing = false;
    this.#publishedClaims = new Coverage();
    if (refusals === undefined) {
      this.#pages = [...taken.pages, ...this.#pages];
      this.#bytes = this.#pages.reduce((sum, page) => sum + page.length, 0);
      this.#claims.join(taken.claims);
      return;
    }
    const refused = beyond(own, taken.claims);
    for (const { origin, seq } of taken.claims.size === 0 ? refusals : []) {
      this.#claims.punch(origin, { from: seq, to: seq });
      const hole = new Coverage();
      hole.set(origin, { upTo: seq, holes: seq === 1 ? [] : [{ from: 1, to: seq - 1 }] });
      refused.join(hole);
    }
    if (refused.size > 0) {
      // They were stated as staged and are holes now: nobody may build on them, and nothing waits for them.
      this.#epoch++;
      this.#target = beyond(refused, this.#target);
    }
    if (this.#pages.length === 0 && this.#owner === undefined && this.isComplete(own)) this.#clear();
  }

  /** Takes the right to stage from an owner who makes no progress. True when it did. */
  endLease(nowMs: number): boolean {
    if (this.#owner === undefined || nowMs - this.#progressMs < CUT_LEASE_MS) return false;
    this.#owner = undefined;
    return true;
  }

  /** Throws away a pull that nobody has carried on for long. True when it did. */
  expire(nowMs: number): boolean {
    if (this.#publishing || nowMs - this.#progressMs < STAGE_PATIENCE_MS) return false;
    if (this.#pages.length === 0 && this.#claims.size === 0 && this.#target.size === 0) return false;
    this.#epoch++;
    this.#owner = undefined;
    this.#clear();
    return true;
  }

  #clear(): void {
    this.#pages = [];
    this.#bytes = 0;
    this.#claims = new Coverage();
    this.#target = new Coverage();
    this.#isWhole = true;
  }
}
