import type { Connection } from "../base/runtime/interface.js";
import type { OriginId } from "../record/origins.js";
import type { Failure } from "./handshake.js";
import { STRANGERS_MAX } from "./protocol/limits.js";
import { Session, type SessionHost } from "./session.js";

const DUPLICATE: Failure = { code: "DUPLICATE_PEER", text: "connected already", remote: false };

/**
 * Every connection, and the one open session with each peer. When two nodes dial each other at once, both
 * keep the connection that the smaller incarnation opened, whatever the order in which they notice.
 */
export class Sessions {
  readonly #own: OriginId;
  readonly #all = new Set<Session>();
  readonly #open = new Map<OriginId, Session>();

  constructor(own: OriginId) {
    this.#own = own;
  }

  /** Takes note of a new connection. When too many strangers are in the hall, who waited longest has to go. */
  add(session: Session): void {
    this.#all.add(session);
    if (session.initiator) return;
    const strangers = this.all().filter((other) => !other.initiator && other.peer === undefined);
    if (strangers.length > STRANGERS_MAX) strangers[0].close("CONNECTION_LOST", "too many at once");
  }

  all(): Session[] {
    return [...this.#all];
  }

  open(): IterableIterator<Session> {
    return this.#open.values();
  }

  get openCount(): number {
    return this.#open.size;
  }

  ids(): OriginId[] {
    return [...this.#open.keys()];
  }

  of(id: OriginId): Session | undefined {
    return this.#open.get(id);
  }

  /** Makes a proven session the peer's one, or says why not. */
  admit(session: Session): Failure | undefined {
    const id = session.peer?.incarnation ?? "";
    const existing = this.#open.get(id);
    if (existing !== undefined) {
      if (!this.#replaces(session, existing, id)) {
        // The peer may know that the old connection is gone when we do not yet.
        existing.probe();
        return DUPLICATE;
      }
      // Taken out before it ends, so that its end is not taken for the loss of the peer.
      this.#open.delete(id);
      this.#open.set(id, session);
      existing.close("DUPLICATE_PEER", "replaced by another connection");
      return undefined;
    }
    this.#open.set(id, session);
    return undefined;
  }

  /** True when the peer has no connection any more. */
  remove(session: Session): boolean {
    this.#all.delete(session);
    const id = session.peer?.incarnation;
    if (id === undefined || this.#open.get(id) !== session) return false;
    this.#open.delete(id);
    return true;
  }

  #replaces(session: Session, existing: Session, peer: OriginId): boolean {
    if (session.initiator === existing.initiator) {
      // We would not dial a peer that is connected, except by a second address; neither would the peer.
      return !session.initiator;
    }
    const opener = session.initiator ? this.#own : peer;
    return opener < (session.initiator ? peer : this.#own);
  }
}

/** The session of a new connection, which nobody else would close where there is no memory for that. */
export function newSession(host: SessionHost, connection: Connection, dialled: string | undefined): Session {
  try {
    return new Session(host, connection, dialled);
  } catch (cause) {
    turnAway(connection);
    throw cause;
  }
}

/** Ends a connection that nobody wants. */
export function turnAway(connection: Connection): void {
  connection.start({ frame: () => {}, drained: () => {}, closed: () => {} });
  connection.close();
}
