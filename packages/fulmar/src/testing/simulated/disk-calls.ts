import type { SimulatedDisk } from "./disk.js";
import type { DiskFault, DiskOperationKind } from "./disk-faults.js";
import { SimulatedKill, type SimulatedProcess } from "./process.js";

interface CallUnderWay {
  readonly perform: () => void;
  readonly abandon: (cause: Error) => void;
}

/**
 * The calls of one process on one disk. Without latency a call has its effect when it is made; with it, at a
 * random moment before its promise settles, so that calls made together happen in any order. Of the calls
 * under way when the process dies some have their effect and some do not; all of them reject.
 */
export class DiskCalls {
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  readonly #underWay = new Set<CallUnderWay>();

  constructor(disk: SimulatedDisk, process: SimulatedProcess) {
    this.#disk = disk;
    this.#process = process;
    process.onKill(() => this.#abandon());
  }

  /** A call that blocks the program: its effect is immediate. */
  runNow<T>(kind: DiskOperationKind, path: string, effect: (fault: DiskFault | undefined) => T): T {
    return this.#disk.perform({ process: this.#process, kind, path }, effect);
  }

  run<T>(kind: DiskOperationKind, path: string, effect: (fault: DiskFault | undefined) => T): Promise<T> {
    const { latency } = this.#disk.options;
    if (latency === undefined) return this.#attempt(() => this.runNow(kind, path, effect));
    return new Promise((resolve, reject) => {
      if (!this.#process.alive) return reject(new SimulatedKill("the process was killed"));
      const call: CallUnderWay = {
        perform: () => {
          this.#underWay.delete(call);
          this.#attempt(() => this.runNow(kind, path, effect)).then(resolve, reject);
        },
        abandon: reject,
      };
      this.#underWay.add(call);
      const delayMs = this.#disk.prng.between(latency.leastMs, latency.mostMs);
      latency.scheduler.at(latency.scheduler.nowMs + delayMs, `disk ${kind}`, call.perform, {
        owner: this.#process,
      });
    });
  }

  async #attempt<T>(action: () => T): Promise<T> {
    return action();
  }

  #abandon(): void {
    for (const call of [...this.#underWay]) {
      call.abandon(new SimulatedKill("the process was killed during the call"));
      if (this.#disk.prng.chance(0.5)) call.perform();
    }
    this.#underWay.clear();
  }
}
