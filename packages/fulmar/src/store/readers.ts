import { FulmarTypeError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Runtime, ThreadChannel, Timer } from "../base/runtime/interface.js";
import { ACTIVITY } from "../memory/shared/control.js";
import { type Attached, mappedBuffers, type Sharing } from "../memory/shared/sharing.js";
import type { HybridClock } from "../record/hybrid-clock.js";
import type { OriginId, OriginTable } from "../record/origins.js";
import type { AttachMessage, NewsMessage, OwnerMessage, ReaderHandle } from "./reader-messages.js";

/** Readers of one store at once: each commit looks at all of them. */
const READERS_MAX = 256;
/** News that wait for a reader which does nothing; it is let go of when there are more. */
const NEWS_MAX = 4096;

/** What the store has to do with readers on other threads. */
export interface ReadersParts {
  readonly runtime: Runtime;
  readonly sharing: Sharing;
  readonly origins: OriginTable;
  readonly clock: HybridClock;
  readonly limits: Limits;
  readonly codec: string;
  /** How long a reader may stay at a state without reading. */
  readonly idleMs: number;
  /** Called when a reader may have left something behind for vacuum. */
  readonly letGo: () => void;
}

/** A reader that was let in. */
interface OpenReader {
  readonly channel: ThreadChannel;
  readonly attached: Attached;
  /** News posted since the reader was last seen to do anything. */
  news: number;
  activity: number;
}

/** Lets readers on other threads in, tells them what is new, and lets go of those that are gone. */
export class StoreReaders {
  readonly #parts: ReadersParts;
  readonly #channels = new Set<ThreadChannel>();
  readonly #open = new Map<ThreadChannel, OpenReader>();
  /** Origins that readers know of. */
  #originsTold = 0;
  #idleTimer: Timer | undefined;

  constructor(parts: ReadersParts) {
    this.#parts = parts;
    const { sharing, clock } = parts;
    sharing.nowMs = () => clock.nowMs();
    sharing.publishing = () => this.#tellOrigins();
    sharing.detached = (attached) => this.#forget(attached);
    sharing.buffers.mapped = (kind, number, buffer) => this.#tell({ type: "memory", kind, number, buffer });
  }

  /** What another thread opens a reader with. */
  handle(): ReaderHandle {
    if (this.#channels.size >= READERS_MAX) {
      const message = `a store has at most ${READERS_MAX} readers on other threads: close some`;
      throw new FulmarTypeError("INVALID_ARGUMENT", message);
    }
    const { own, other } = this.#parts.runtime.threads.channel();
    this.#channels.add(own);
    own.start({
      message: (message) => this.#receive(own, message as AttachMessage),
      closed: () => this.#close(own),
    });
    return { port: other } as ReaderHandle;
  }

  /** Lets go of all readers: the store closes. */
  close(): void {
    this.#parts.sharing.close();
    for (const channel of [...this.#channels]) this.#close(channel);
  }

  #receive(channel: ThreadChannel, message: AttachMessage): void {
    if (message.type !== "attach" || this.#open.has(channel) || !this.#channels.has(channel)) return;
    const { sharing, limits, codec } = this.#parts;
    if (message.codec !== codec) {
      const text = `the store was opened with codec ${codec}, the reader with ${message.codec}: give both the same`;
      this.#post(channel, { type: "refused", message: text });
      return;
    }
    this.#tellOrigins();
    try {
      const attached = sharing.attach();
      this.#open.set(channel, { channel, attached, news: 0, activity: 0 });
      channel.post({
        type: "attached",
        control: sharing.control,
        block: attached.block,
        layout: sharing.layout,
        buffers: mappedBuffers(sharing.buffers),
        limits,
        origins: this.#originIds(1),
      } satisfies OwnerMessage);
    } catch {
      // No memory for it. Called for a message, which must not end the process.
      this.#post(channel, { type: "crowded" });
      return;
    }
    this.#watchIdle();
  }

  #originIds(from: number): OriginId[] {
    const { origins } = this.#parts;
    return Array.from({ length: origins.size - from + 1 }, (_, i) => origins.id(from + i));
  }

  #tellOrigins(): void {
    if (this.#parts.origins.size === this.#originsTold) return;
    this.#tell({ type: "origins", origins: this.#originIds(this.#originsTold + 1) });
    this.#originsTold = this.#parts.origins.size;
  }

  #tell(news: NewsMessage): void {
    for (const reader of [...this.#open.values()]) {
      const activity = Atomics.load(reader.attached.block, ACTIVITY);
      if (activity !== reader.activity) reader.news = 0;
      reader.activity = activity;
      // Not at once: this may be called in the middle of a change, which goes on as it began.
      if (++reader.news === NEWS_MAX) this.#parts.runtime.timers.soon(() => this.#close(reader.channel));
      this.#post(reader.channel, news);
    }
  }

  #post(channel: ThreadChannel, message: OwnerMessage): void {
    try {
      channel.post(message);
    } catch {
      // No memory for a copy. Who does not know everything must not read on.
      this.#parts.runtime.timers.soon(() => this.#close(channel));
    }
  }

  /** The sharing let go of a reader on its own. */
  #forget(attached: Attached): void {
    for (const reader of this.#open.values()) if (reader.attached === attached) this.#close(reader.channel);
  }

  #close(channel: ThreadChannel): void {
    if (!this.#channels.delete(channel)) return;
    const reader = this.#open.get(channel);
    this.#open.delete(channel);
    if (reader !== undefined) this.#parts.sharing.detach(reader.attached);
    channel.close();
    this.#parts.letGo();
    if (this.#open.size > 0) return;
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
  }

  #watchIdle(): void {
    const { runtime, idleMs, sharing, letGo } = this.#parts;
    this.#idleTimer ??= runtime.timers.after(
      idleMs,
      () => {
        this.#idleTimer = undefined;
        for (const attached of sharing.readers) if (sharing.revokeIdle(attached)) letGo();
        if (this.#open.size > 0) this.#watchIdle();
      },
      { background: true },
    );
  }
}
