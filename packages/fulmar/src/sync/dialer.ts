import { codeOf, type ErrorCode } from "../base/errors.js";
import type { Connection, Runtime, Timer } from "../base/runtime/interface.js";
import type { OriginId } from "../record/origins.js";
import { CONNECTION_GOOD_MS, HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_MS_MAX } from "./protocol/limits.js";
import { turnAway } from "./sessions.js";

export interface DialerOptions {
  readonly runtime: Runtime;
  readonly own: OriginId;
  readonly leastMs: number;
  readonly mostMs: number;
  readonly isConnected: (id: OriginId) => boolean;
  /** A connection to `address` stands. */
  readonly connected: (connection: Connection, address: string) => void;
}

/** One address and how it stands with it. */
export interface Target {
  readonly address: string;
  /** Given by the caller, not learned from others. */
  isConfigured: boolean;
  /** Who was met there, or is said to be there. */
  id: OriginId | undefined;
  phase: "idle" | "connecting" | "session" | "backoff";
  /** The node itself answers there. */
  isSelf: boolean;
  failures: number;
  lastError: string | undefined;
  timer: Timer | undefined;
}

/**
 * Whom to connect to and when: every configured address and every known member, each unless it is
 * connected already, after failures with growing and jittered waits.
 */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #targets = new Map<string, Target>();
  #closed = false;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  targets(): IterableIterator<Target> {
    return this.#targets.values();
  }

  /** Dials an address from now on. */
  add(address: string, isConfigured: boolean, id: OriginId | undefined): void {
    const known = this.#targets.get(address);
    if (known !== undefined) {
      known.isConfigured ||= isConfigured;
      known.id ??= id;
      return;
    }
    const target: Target = {
      address,
      isConfigured,
      id,
      phase: "idle",
      isSelf: false,
      failures: 0,
      lastError: undefined,
      timer: undefined,
    };
    this.#targets.set(address, target);
    this.#consider(target);
  }

  /** Forgets addresses that `keep` turns down. */
  prune(keep: (target: Target) => boolean): void {
    for (const target of this.#targets.values()) {
      if (keep(target)) continue;
      target.timer?.cancel();
      this.#targets.delete(target.address);
    }
  }

  /** Who answered at an address, as soon as it has proven itself. */
  met(address: string, id: OriginId): void {
    const target = this.#targets.get(address);
    if (target !== undefined) target.id = id;
  }

  /** The session with a dialled address ended. */
  ended(address: string, code: ErrorCode, text: string, ageMs: number, hasProven: boolean): void {
    const target = this.#targets.get(address);
    if (target === undefined || target.phase !== "session") return;
    if (ageMs >= CONNECTION_GOOD_MS) target.failures = 0;
    if (
      code === "DUPLICATE_PEER" &&
      hasProven &&
      target.id !== undefined &&
      this.#options.isConnected(target.id)
    ) {
      target.phase = "idle";
      return;
    }
    target.isSelf = code === "DUPLICATE_PEER" && !hasProven;
    this.#backOff(target, `${code}: ${text}`);
  }

  /** A peer is not connected any more: its addresses are due again. */
  lost(id: OriginId): void {
    for (const target of this.#targets.values()) {
      if (target.id === id && target.phase === "idle") this.#backOff(target, target.lastError);
    }
  }

  close(): void {
    this.#closed = true;
    for (const target of this.#targets.values()) target.timer?.cancel();
  }

  #consider(target: Target): void {
    const { own, isConnected } = this.#options;
    if (this.#closed || target.phase !== "idle") return;
    if (target.id !== undefined && (target.id === own || isConnected(target.id))) return;
    target.phase = "connecting";
    void this.#dial(target);
  }

  async #dial(target: Target): Promise<void> {
    const { runtime, connected } = this.#options;
    const { address } = target;
    try {
      const connection = await runtime.transport.connect(address, {
        timeoutMs: HANDSHAKE_MS_MAX,
        frameBytesMax: HANDSHAKE_FRAME_BYTES_MAX,
      });
      if (this.#closed || this.#targets.get(address) !== target) {
        turnAway(connection);
        return;
      }
      target.phase = "session";
      connected(connection, address);
    } catch (cause) {
      if (!this.#closed) this.#backOff(target, `${codeOf(cause) ?? "CONNECTION_LOST"}: ${String(cause)}`);
    }
  }

  #backOff(target: Target, reason: string | undefined): void {
    if (this.#closed) return;
    const { runtime, leastMs, mostMs } = this.#options;
    const ceilingMs = target.isSelf ? mostMs : Math.min(mostMs, leastMs * 2 ** Math.min(20, target.failures));
    const half = Math.ceil(ceilingMs / 2);
    target.failures++;
    target.lastError = reason;
    target.phase = "backoff";
    target.timer?.cancel();
    // Not in the background: a program that waits for its peer must not end while nobody answers.
    target.timer = runtime.timers.after(half + runtime.random.below(half), () => {
      target.timer = undefined;
      target.phase = "idle";
      this.#consider(target);
    });
  }
}
