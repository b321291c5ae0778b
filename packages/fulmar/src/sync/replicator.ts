import { type ErrorCode, FulmarError, FulmarTypeError } from "../base/errors.js";
import type { Connection, Listener } from "../base/runtime/interface.js";
import type { Coverage } from "../record/coverage.js";
import type { OriginId } from "../record/origins.js";
import type { MergeResult, StorePort } from "../store/port.js";
import { Dialer } from "./dialer.js";
import { Events, type ReplicatorEvent, type ReplicatorListener } from "./events.js";
import type { Failure } from "./handshake.js";
import { Inbox, type InboxCounts } from "./inbox.js";
import { isDialable, type Member, Membership } from "./membership.js";
import { NamedTimers } from "./named-timers.js";
import {
  DISCOVERY_DELAY_MS,
  HANDSHAKE_FRAME_BYTES_MAX,
  HOLES_RETRY_MS,
  HOUSEKEEPING_MS,
  STATE_DELAY_MS,
} from "./protocol/limits.js";
import { Session, type SessionHost } from "./session.js";
import { newSession, Sessions } from "./sessions.js";
import { checkAddress, insecure, type ReplicateOptions, readSettings, type Settings } from "./settings.js";
import { newRecord, PeerRecords, type PeerStatus, sessionStatus, targetStatus } from "./status.js";
import { type SyncedOptions, Waiting } from "./waiting.js";

/** A store's replication with its peers. */
export interface Replicator {
  /** The address that it listens on; undefined when it only dials. */
  readonly address: string | undefined;
  /** How it stands with every peer and every address. */
  peers(): PeerStatus[];
  /** The members that have made their address known. */
  members(): Member[];
  /** Figures of the receiving side. */
  counts(): Readonly<InboxCounts> & { readonly stagedBytes: number };
  /** Dials an address from now on. @throws INVALID_ARGUMENT, ADDRESS_INVALID, INSECURE_LISTEN, CLOSED */
  addPeer(address: string): void;
  /** Forgets a member and its addresses everywhere, and closes its connection. One that runs dials in again. */
  removePeer(id: OriginId): Promise<void>;
  /**
   * Resolves when peers have confirmed everything that this store has synced up to `version` (its newest
   * commit unless given). Rejects with TIMEOUT, ABORTED or CLOSED.
   */
  synced(version?: number, options?: SyncedOptions): Promise<void>;
  /** Calls `listener` at each such event; returns the way to stop. @throws INVALID_ARGUMENT */
  on<E extends ReplicatorEvent>(event: E, listener: ReplicatorListener<E>): () => void;
  /** Ends listener, connections and timers. The store stays open. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Stores with a replicator. Two of one store would be one peer twice, and take each other's connections. */
const REPLICATED = new WeakSet<StorePort>();

type TimerName = "state" | "holes" | "housekeeping" | "discovery";

/** Wires listener, dialer, sessions, inbox and store to each other; the rules are theirs. */
export class StoreReplicator implements Replicator, SessionHost {
  readonly port: StorePort;
  readonly settings: Settings;
  readonly inbox: Inbox;
  readonly #events: Events;
  readonly #membership: Membership;
  readonly #sessions: Sessions;
  readonly #dialer: Dialer;
  readonly #waiting: Waiting;
  readonly #records = new PeerRecords();
  readonly #timers: NamedTimers<TimerName>;
  readonly #unsubscribe: (() => void)[] = [];
  #listener: Listener | undefined;
  #membersVersion = -1;
  #isWholeStateDue = false;
  #closing: Promise<void> | undefined;
  #isClosing = false;

  private constructor(port: StorePort, settings: Settings) {
    this.port = port;
    this.settings = settings;
    this.#timers = new NamedTimers(port.runtime.timers);
    this.#events = new Events(port.runtime.diagnostics);
    this.#membership = new Membership(port);
    this.#sessions = new Sessions(port.incarnation);
    this.#waiting = new Waiting(port, () => this.#coverages());
    this.inbox = new Inbox({
      port,
      stagedBytesMax: settings.stagedBytesMax,
      progressive: settings.progressive,
      merged: (result, from) => this.#merged(result, from),
      failed: (error) => this.failed(error),
      changed: () => this.#stateSoon(false),
    });
    this.#dialer = new Dialer({
      runtime: port.runtime,
      own: port.incarnation,
      leastMs: settings.reconnectLeastMs,
      mostMs: settings.reconnectMostMs,
      isConnected: (id) => this.#sessions.of(id) !== undefined,
      connected: (connection, address) => this.#connect(connection, address),
    });
  }

  /** Starts replication of the store behind `port`. */
  static async start(port: StorePort, options: ReplicateOptions): Promise<StoreReplicator> {
    const settings = readSettings(port, options);
    if (REPLICATED.has(port)) {
      throw new FulmarTypeError(
        "INVALID_ARGUMENT",
        "replicate: this store replicates already; close that replicator first, or call its addPeer",
      );
    }
    REPLICATED.add(port);
    const replicator = new StoreReplicator(port, settings);
    try {
      await port.beginReplication();
      await replicator.#start();
    } catch (cause) {
      await replicator.close();
      throw cause;
    }
    return replicator;
  }

  get address(): string | undefined {
    return this.#listener?.address;
  }

  peers(): PeerStatus[] {
    const nowMs = this.port.runtime.clock.monotonicMs();
    const names = new Map(this.members().map((member) => [member.id, member]));
    const result: PeerStatus[] = [];
    for (const session of this.#sessions.open()) {
      const id = session.peer?.incarnation ?? "";
      const address = session.dialled ?? names.get(id)?.address ?? session.remote;
      result.push(sessionStatus(session, this.#records.of(id), nowMs, address));
    }
    for (const target of this.#dialer.targets()) {
      if (target.isSelf || target.id === this.port.incarnation) continue;
      if (target.id !== undefined && this.#sessions.of(target.id) !== undefined) continue;
      const record = target.id === undefined ? newRecord() : this.#records.of(target.id);
      result.push(targetStatus(target, record, names.get(target.id ?? "")?.name ?? ""));
    }
    return result;
  }

  members(): Member[] {
    return this.#membership.list();
  }

  counts(): Readonly<InboxCounts> & { readonly stagedBytes: number } {
    return { ...this.inbox.counts, stagedBytes: this.inbox.stagedBytes };
  }

  addPeer(address: string): void {
    this.#assertOpen();
    const checked = checkAddress(address, "address");
    if (!this.#mayDial(checked)) throw insecure(checked);
    this.#dialer.add(checked, true, undefined);
  }

  async removePeer(id: OriginId): Promise<void> {
    this.#assertOpen();
    await this.#membership.remove(id);
    this.#dialer.prune((target) => target.id !== id);
    this.#sessions.of(id)?.close("CLOSED", "removed from the cluster");
  }

  async synced(version?: number, options: SyncedOptions = {}): Promise<void> {
    this.#assertOpen();
    return this.#waiting.wait(version, options);
  }

  on<E extends ReplicatorEvent>(event: E, listener: ReplicatorListener<E>): () => void {
    return this.#events.on(event, listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What sessions tell.

  failed(cause: unknown): void {
    this.#events.emit("error", { error: cause instanceof Error ? cause : new Error(String(cause)) });
  }

  admit(session: Session): Failure | undefined {
    const id = session.peer?.incarnation ?? "";
    if (session.dialled !== undefined) this.#dialer.met(session.dialled, id);
    if (this.#isClosing) return { code: "CLOSED", text: "closing", remote: false };
    return this.#sessions.admit(session);
  }

  opened(session: Session): void {
    const { peer, remote } = session;
    if (peer === undefined) return;
    this.#records.of(peer.incarnation).lastError = undefined;
    this.#events.emit("peer", {
      id: peer.incarnation,
      name: peer.name,
      address: session.dialled ?? remote,
      state: "connected",
    });
    this.#stateSoon(true);
  }

  heard(_session: Session): void {
    this.#waiting.check();
  }

  closed(session: Session, failure: Failure | undefined): void {
    const { peer, dialled } = session;
    const code: ErrorCode = failure?.code ?? "CONNECTION_LOST";
    const text = failure?.text ?? "closed";
    const wasOpen = this.#sessions.remove(session);
    if (peer !== undefined) this.#records.of(peer.incarnation).lastError = `${code}: ${text}`;
    if (failure !== undefined && !failure.remote && isViolation(code)) this.#violated(session, code, text);
    if (dialled !== undefined) this.#dialer.ended(dialled, code, text, session.ageMs, peer !== undefined);
    if (!wasOpen || peer === undefined) return;
    this.#dialer.lost(peer.incarnation);
    this.#events.emit("peer", {
      id: peer.incarnation,
      name: peer.name,
      address: dialled ?? session.remote,
      state: "disconnected",
      code,
    });
    this.#stateSoon(true);
    this.#waiting.check();
  }

  neighbours(): OriginId[] {
    return this.#sessions.ids();
  }

  async #start(): Promise<void> {
    const { port, settings } = this;
    // The end of a store is told once: what ended while replication was being prepared is not told any more.
    if (!port.writable)
      throw new FulmarError("CLOSED", "replicate: the store was closed or failed: open it again");
    this.#unsubscribe.push(port.onEnd(() => void this.close()));
    this.#unsubscribe.push(port.onSynced(() => this.#synced()));
    if (settings.listen !== undefined) await this.#listen(settings.listen);
    for (const address of settings.peers) this.#dialer.add(address, true, undefined);
    this.#discover();
    this.#holesLater();
    this.#housekeepingLater();
  }

  async #listen(address: string): Promise<void> {
    const { port, settings } = this;
    const listenOptions = {
      frameBytesMax: HANDSHAKE_FRAME_BYTES_MAX,
      connectionsMax: settings.connectionsMax,
    };
    const accept = (connection: Connection): void => this.#accept(connection);
    const listener = await port.runtime.transport.listen(address, listenOptions, accept);
    this.#listener = listener;
    if (this.#isClosing) {
      // The store ended while the address was being bound: `#close` could not know of the listener yet.
      await listener.close();
      this.#assertOpen();
    }
    const known = settings.advertise ?? this.#listener.address;
    if (isDialable(known)) await this.#membership.publish(settings.name, known);
  }

  #accept(connection: Connection): void {
    try {
      this.#connect(connection, undefined);
    } catch (cause) {
      // There is no memory for a session. Who dialled tries again.
      this.failed(cause);
    }
  }

  #connect(connection: Connection, dialled: string | undefined): void {
    const session = newSession(this, connection, dialled);
    this.#sessions.add(session);
    session.start();
    if (this.#isClosing) session.close("CLOSED", "closing");
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#timers.clear();
    this.#dialer.close();
    for (const session of this.#sessions.all()) session.close("CLOSED", "the peer stops replicating");
    this.inbox.close();
    this.#waiting.end(new FulmarError("CLOSED", "the replicator was closed"));
    await this.#listener?.close().catch((cause: unknown) => this.failed(cause));
    this.#events.clear();
    REPLICATED.delete(this.port);
  }

  #assertOpen(): void {
    if (this.#isClosing) throw new FulmarError("CLOSED", "the replicator is closed");
  }

  #synced(): void {
    for (const session of this.#sessions.open()) session.pump();
    this.#waiting.check();
    this.#stateSoon(false);
    if (this.settings.discover) this.#after("discovery", DISCOVERY_DELAY_MS, () => this.#discover(), false);
  }

  /** Tells all peers shortly, once for everything that happens until then. */
  #stateSoon(whole: boolean): void {
    this.#isWholeStateDue ||= whole;
    const tell = (): void => {
      const isWhole = this.#isWholeStateDue;
      this.#isWholeStateDue = false;
      for (const session of this.#sessions.open()) {
        if (isWhole) session.state(true);
        else session.stateNews();
      }
    };
    this.#after("state", STATE_DELAY_MS, tell, false);
  }

  #merged(result: MergeResult, from: object | undefined): void {
    const id = from instanceof Session ? from.peer?.incarnation : undefined;
    const peer = id === undefined ? {} : { peer: id };
    const { version, applied, stale, refused } = result;
    this.#events.emit("merge", { ...peer, version, applied, stale });
    if (refused.length === 0) return;
    if (id !== undefined) {
      const record = this.#records.of(id);
      for (const refusal of refused) record.refused[refusal.reason]++;
    }
    this.#events.emit("refused", { ...peer, refusals: refused });
  }

  #violated(session: Session, code: ErrorCode, text: string): void {
    const id = session.peer?.incarnation;
    if (id !== undefined) this.#records.of(id).violations++;
    const peer = id === undefined ? {} : { peer: id };
    this.#events.emit("violation", { ...peer, address: session.dialled ?? session.remote, code, text });
  }

  /** Looks for members that are not dialled yet, and for addresses that no member has any more. */
  #discover(): void {
    const { engine, incarnation } = this.port;
    if (!this.settings.discover || engine.version === this.#membersVersion) return;
    this.#membersVersion = engine.version;
    const members = new Map<string, OriginId>();
    for (const { id, address } of this.members()) {
      if (id !== incarnation && this.#mayDial(address)) members.set(address, id);
    }
    this.#dialer.prune((target) => target.isConfigured || members.has(target.address));
    for (const [address, id] of members) this.#dialer.add(address, false, id);
  }

  #mayDial(address: string): boolean {
    return this.settings.secret !== undefined || this.port.runtime.transport.isLoopback(address);
  }

  /** Asks one peer for what was refused: the reason may be gone. */
  #holesLater(): void {
    const { random } = this.port.runtime;
    const delayMs = HOLES_RETRY_MS / 2 + random.below(HOLES_RETRY_MS);
    const ask = (): void => {
      this.#holesLater();
      const open = [...this.#sessions.open()];
      if (open.length > 0 && this.#hasHoles()) open[random.below(open.length)].state(true, true);
    };
    this.#after("holes", delayMs, ask, true);
  }

  #hasHoles(): boolean {
    for (const [, coverage] of this.port.coverage().origins()) if (coverage.holes.length > 0) return true;
    return false;
  }

  #housekeepingLater(): void {
    const look = (): void => {
      this.#housekeepingLater();
      if (this.#sessions.openCount > 0) this.inbox.tick();
    };
    this.#after("housekeeping", HOUSEKEEPING_MS, look, true);
  }

  *#coverages(): Iterable<Coverage> {
    for (const session of this.#sessions.open()) yield session.sender.known;
  }

  /** Runs `task` later. While one of that name is due a second is not needed, unless it `restarts`. */
  #after(name: TimerName, delayMs: number, task: () => void, restarts: boolean): void {
    if (this.#isClosing || (!restarts && this.#timers.has(name))) return;
    this.#timers.set(name, delayMs, task);
  }
}

function isViolation(code: ErrorCode): boolean {
  return code === "PROTOCOL_VIOLATION" || code === "AUTHENTICATION_FAILED" || code === "PROTOCOL_VERSION";
}
