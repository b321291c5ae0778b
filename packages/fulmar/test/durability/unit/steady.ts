import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";

/** A runtime whose clock is set by hand, and that counts the turns of the event loop that were asked for. */
export interface Steady {
  readonly runtime: Runtime;
  nowMs: () => number;
  turns: number;
}

/** With a clock that stands, so that only the work done asks for turns. */
export function steady(simulated: Runtime): Steady {
  const { timers } = simulated;
  const state = { nowMs: () => 0, turns: 0 };
  const turn = (): Promise<void> => {
    state.turns++;
    return timers.turn();
  };
  const runtime: Runtime = {
    ...simulated,
    clock: { wallMs: () => 0, monotonicMs: () => state.nowMs() },
    timers: {
      soon: (task) => timers.soon(task),
      after: (delayMs, task, options) => timers.after(delayMs, task, options),
      turn,
    },
  };
  return Object.assign(state, { runtime });
}

/** A file with its reads counted; each ends so many turns later as `turns` says of its position. */
export async function countedReads(
  runtime: Runtime,
  path: string,
  turns: (position: number) => number = () => 1,
): Promise<{ handle: FileHandle; reads: { begun: number; underWay: number } }> {
  const opened = await runtime.fileSystem.open(path, "read");
  const reads = { begun: 0, underWay: 0 };
  const handle = Object.assign(Object.create(opened) as FileHandle, {
    path,
    size: () => opened.size(),
    close: () => opened.close(),
    read: async (target: Uint8Array, position: number): Promise<number> => {
      reads.begun++;
      reads.underWay++;
      const count = await opened.read(target, position);
      // As long as a disk takes: whoever does not wait for it is seen.
      for (let left = turns(position); left > 0; left--)
        await new Promise((resolve) => setImmediate(resolve));
      reads.underWay--;
      return count;
    },
  });
  return { handle, reads };
}
