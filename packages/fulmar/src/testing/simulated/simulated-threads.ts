import type { ChannelHandler, ThreadChannel, Threads, Timers } from "../../base/runtime/interface.js";

/** One end of a channel within a thread. What a message holds is not copied. */
class SimulatedChannel implements ThreadChannel {
  readonly #timers: Timers;
  readonly #waiting: unknown[] = [];
  #other: SimulatedChannel | undefined;
  #handler: ChannelHandler | undefined;
  #isClosed = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Two ends of one channel. */
  static pair(timers: Timers): readonly [SimulatedChannel, SimulatedChannel] {
    const ends = [new SimulatedChannel(timers), new SimulatedChannel(timers)] as const;
    ends[0].#other = ends[1];
    ends[1].#other = ends[0];
    return ends;
  }

  post(message: unknown): void {
    const other = this.#other;
    if (this.#isClosed || other === undefined || other.#isClosed) return;
    other.#waiting.push(message);
    this.#timers.soon(() => other.#deliver());
  }

  receive(): unknown {
    return this.#waiting.shift();
  }

  start(handler: ChannelHandler): void {
    this.#handler = handler;
    this.#timers.soon(() => this.#deliver());
  }

  keepAlive(): void {}

  close(): void {
    this.#timers.soon(() => {
      this.#end();
      const other = this.#other;
      if (other !== undefined) other.#end();
    });
  }

  #deliver(): void {
    const handler = this.#handler;
    if (handler === undefined || this.#isClosed) return;
    for (const message of this.#waiting.splice(0)) handler.message(message);
  }

  #end(): void {
    this.#deliver();
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handler?.closed();
  }
}

/** Channels between parts of one simulated thread: a reader and its owner take turns, so nothing is by chance. */
export function simulatedThreads(timers: Timers): Threads {
  return Object.freeze({
    channel() {
      const [own, other] = SimulatedChannel.pair(timers);
      return { own, other };
    },
    join: (other: unknown) => (other instanceof SimulatedChannel ? other : undefined),
    // There is no other thread.
    withhold: () => undefined,
  });
}
