import { codeOf } from "../../../src/base/errors.js";
import type { OpenOptions } from "../../../src/index.js";
import type { AfterSync } from "../../../src/testing/index.js";
import type { Actor } from "./actor.js";
import { ENCRYPTED } from "./encrypted.js";
import { MIXED } from "./mixed.js";
import { PROBE } from "./sequels.js";

/** A short program whose every step is examined. */
export interface Workload {
  readonly name: string;
  readonly options?: OpenOptions<string>;
  /** Whether the commits are recorded as they are applied, for what cannot be foretold. */
  readonly records?: boolean;
  /** What is true of every state of the program, by its keys; throws. */
  readonly holds?: (entries: ReadonlyMap<string, string>) => void;
  run(actor: Actor): Promise<void>;
}

const LEVELS = ["memory", "relaxed", "full"] as const;

const plain: readonly Workload[] = [
  {
    name: "first open, one write, close",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      await actor.close();
    },
  },
  {
    name: "single sets and deletes at each level",
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 9; i++) await actor.write(LEVELS[i % 3], [`k${i % 4}`, `${i}`]);
      await actor.write("relaxed", ["k1", undefined]);
      await actor.write("full", ["k2", undefined]);
      await actor.write("memory", ["", ""]);
      await actor.flush();
      await actor.write("relaxed", ["k3", "last"]);
    },
  },
  {
    // What is written after the crash ends where a record of these begins: nothing may take up with that.
    name: "unsynced records as long as the next one after the crash",
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 4; i++) await actor.write("relaxed", [`${PROBE.slice(0, -1)}${i}`, `${i}`]);
      actor.kill();
      await actor.open();
      for (let i = 0; i < 3; i++) await actor.write("relaxed", [`${PROBE.slice(0, -1)}${i}`, "y"]);
    },
  },
  {
    name: "concurrent writes of all levels in one group",
    options: { durability: "relaxed" },
    async run(actor) {
      await actor.open();
      for (let round = 0; round < 4; round++) {
        const writes = LEVELS.map((level, i) => actor.write(level, [`k${i}`, `${round} ${level}`]));
        const more = actor.write("full", ["k0", undefined], ["k1", `${round}`], ["k9", "x".repeat(700)]);
        await Promise.all([...writes, more]);
      }
    },
  },
  {
    name: "more writers than one sync waits for",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["k0", "first"]);
      const syncs = countSyncs(actor);
      const writer = async (_: unknown, i: number): Promise<void> => {
        for (let round = 0; round < 2; round++) await actor.write("full", [`k${i % 5}`, `${round} ${i}`]);
      };
      await Promise.all(Array.from({ length: 24 }, writer));
      if (syncs() < 3) throw new Error("no group was synced while the next one was made");
    },
  },
  {
    name: "batches",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"], ["b", "1"], ["c", "1"]);
      await actor.write("relaxed", ["a", "2"], ["b", undefined], ["c", "2"], ["a", "3"]);
      await actor.write("full", ["a", undefined], ["b", "4"], ["c", "x".repeat(9000)]);
      await Promise.all([
        actor.write("full", ["a", "5"], ["b", "5"]),
        actor.write("memory", ["a", "6"], ["b", "6"]),
        actor.write("full", ["a", "7"], ["b", "7"]),
      ]);
      await actor.close();
    },
  },
  {
    name: "expiry",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1", 100], ["b", "1", 5000], ["c", "1"]);
      await actor.storage.advance(200);
      await actor.write("full", ["d", "1", 300]);
      await actor.storage.advance(1000);
      await actor.write("full", ["b", "2"]);
      await actor.write("full", ["c", "2", 50]);
      await actor.storage.advance(100);
      await actor.close();
      await actor.open();
      await actor.write("full", ["a", "2"]);
    },
  },
  {
    name: "the flush policy without anyone waiting",
    options: { flushCommits: 3, flushInterval: 20 },
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 8; i++) {
        await actor.write("relaxed", [`k${i % 3}`, `${i}`]);
        await actor.turns(1);
      }
      await actor.storage.advance(50);
      await actor.write("memory", ["k", "x"]);
      await actor.storage.advance(50);
    },
  },
];

/** Counts the syncs from now on. */
function countSyncs(actor: Actor): () => number {
  const { disk } = actor.storage;
  const listener = disk.onOperation;
  let count = 0;
  disk.onOperation = (operation, phase) => {
    listener?.(operation, phase);
    if (phase === "after" && operation.kind === "sync") count++;
  };
  return () => count;
}

/** Resolves when the first operation on a file below this path begins. */
function operationOn(actor: Actor, part: string): Promise<void> {
  const { disk } = actor.storage;
  const listener = disk.onOperation;
  return new Promise((resolve) => {
    disk.onOperation = (operation, phase) => {
      listener?.(operation, phase);
      if (!operation.path.includes(part)) return;
      disk.onOperation = listener;
      resolve();
    };
  });
}

const generations: readonly Workload[] = [
  {
    name: "checkpoints beside writes",
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 4; i++) await actor.write("full", [`old ${i}`, "o".repeat(900)]);
      for (let round = 0; round < 2; round++) {
        const done = actor.db.checkpoint();
        await actor.write("relaxed", ["during", `${round}`]);
        const behind = actor.write("full", ["old 1", round === 0 ? undefined : "back"]);
        await done;
        await behind;
        await actor.write("full", [`after ${round}`, "1", 60_000]);
      }
      await actor.close();
    },
  },
  {
    name: "segments that follow each other and are recycled",
    // Nothing is kept for watches: what a checkpoint sets free is used again.
    options: { historyBytes: 0 },
    async run(actor) {
      await actor.open();
      await actor.roll(2);
      await actor.db.checkpoint();
      await actor.roll(2);
      await actor.write("full", ["end", "1"]);
      await actor.write("relaxed", ["tail", "1"]);
      actor.mustHaveRecycled();
    },
  },
  {
    name: "segments that follow each other during a checkpoint",
    async run(actor) {
      await actor.open();
      await actor.roll(1);
      for (let i = 0; i < 3; i++) await actor.write("full", [`big ${i}`, "s".repeat(15_000)]);
      await actor.turns(20);
      const begun = operationOn(actor, "/checkpoint/");
      const done = actor.db.checkpoint();
      // It begins a segment of its own before it looks at the state and writes that.
      await begun;
      const segments = actor.db.status().log?.segments ?? 0;
      const writes = [1, 2, 3].map((i) => actor.write("full", [`beside ${i}`, "b".repeat(4000)]));
      const { version } = actor.db;
      if (segments < 2 || (await done).version >= version - 1)
        throw new Error("the checkpoint came too late");
      await Promise.all(writes);
      await actor.write("full", ["tail", "1"]);
    },
  },
  {
    name: "checkpoints by policy",
    options: { checkpoint: { everyCommits: 4 } },
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 9; i++) {
        await actor.write("full", [`k${i % 3}`, i % 4 === 3 ? undefined : `${i}`]);
        await actor.turns(6);
      }
      await actor.close();
    },
  },
  {
    name: "several lives: killed, closed, opened",
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      await actor.write("relaxed", ["b", "1"]);
      actor.kill();
      await actor.open();
      await actor.write("full", ["b", "2"]);
      await actor.close();
      await actor.open();
      await actor.write("relaxed", ["c", "3"]);
      await actor.db.checkpoint();
      await actor.close();
      await actor.open();
      await actor.close();
    },
  },
  {
    name: "a coarse clock that is set back",
    async run(actor) {
      actor.storage.clock.jump(3_600_000);
      await actor.open();
      await actor.write("full", ["a", "1"]);
      actor.storage.clock.jump(-3_600_000);
      await actor.write("full", ["a", "2"]);
      await actor.write("relaxed", ["b", "1"], ["a", "3"]);
      await actor.db.checkpoint();
      actor.kill();
      actor.storage.clock.jump(-3_600_000);
      await actor.open();
      await actor.write("full", ["a", undefined]);
      await actor.write("full", ["a", "4"]);
      await actor.close();
    },
  },
  {
    name: "writes in line",
    options: { sync: "inline" },
    async run(actor) {
      await actor.open();
      for (let i = 0; i < 4; i++) await actor.write("full", ["k", `${i}`]);
      await Promise.all([actor.write("full", ["a", "1"]), actor.write("full", ["b", "1"])]);
      await actor.close();
    },
  },
];

function refusal(bytes: number): Workload {
  return {
    name: `a full disk after ${bytes} bytes`,
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      const { faults } = actor.storage.disk;
      faults.add({ operations: ["write"], path: ".log", bytes });
      faults.add({ operations: ["write"], path: ".log", code: "ENOSPC", times: 2 });
      await Promise.all([
        actor.write("full", ["b", "2"]),
        actor.write("relaxed", ["c", "x".repeat(300)], ["a", undefined]),
        actor.write("full", ["d", "2"]),
      ]);
      await actor.write("full", ["e", "3"]);
      await actor.write("full", ["f", "4"]);
      await actor.close();
    },
  };
}

function failedSync(afterSync: AfterSync, reached: number): Workload {
  return {
    name: `a failed sync (${afterSync}, ${reached * 100} % reached)`,
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      actor.storage.disk.faults.add({ operations: ["sync"], path: ".log", code: "EIO", afterSync, reached });
      await Promise.all([
        actor.write("full", ["b", "x".repeat(5000)], ["a", "2"]),
        actor.write("full", ["c", "1"]),
      ]);
      actor.kill();
      await actor.open();
      await actor.write("full", ["d", "1"]);
      await actor.close();
    },
  };
}

/** The name of a new checkpoint, and later of a new segment, cannot be made durable. */
function failedNames(afterSync: AfterSync): Workload {
  return {
    name: `a failed sync of directories (${afterSync})`,
    async run(actor) {
      await actor.open();
      await actor.write("full", ["a", "1"]);
      const { faults } = actor.storage.disk;
      faults.add({ operations: ["syncDirectory"], path: "/checkpoint", code: "EIO", afterSync, times: 2 });
      const failed = await actor.db.checkpoint().catch((error: unknown) => codeOf(error));
      if (failed !== "IO_ERROR") throw new Error("the checkpoint was to fail");
      await actor.write("full", ["a", "2"]);
      await actor.db.checkpoint().catch(() => undefined);
      faults.add({ operations: ["syncDirectory"], path: "/log", code: "EIO", afterSync, times: 2 });
      for (let i = 0; i < 8; i++) {
        await actor.write("full", ["big", `${i}`.padEnd(12_000, "n")]);
        await actor.turns(2);
      }
      await actor.db.checkpoint();
      await actor.close();
    },
  };
}

const quota: Workload = {
  name: "a disk that fills up and is given space again",
  async run(actor) {
    await actor.open();
    await actor.write("full", ["a", "1".repeat(3000)]);
    const { disk } = actor.storage;
    disk.quotaBytes = Number.MAX_SAFE_INTEGER;
    disk.quotaBytes -= disk.freeBytes() - 5000;
    for (let i = 0; i < 4; i++) await actor.write("full", ["b", `${i}`.repeat(2000)]);
    await actor.db.checkpoint().catch(() => undefined);
    disk.quotaBytes = Number.POSITIVE_INFINITY;
    await actor.write("full", ["c", "1"]);
    await actor.close();
  },
};

export const WORKLOADS: readonly Workload[] = [
  ...plain,
  ...generations,
  ...MIXED,
  ...ENCRYPTED,
  refusal(0),
  refusal(60),
  refusal(140),
  quota,
  failedNames("clean"),
  failedNames("revert"),
  failedNames("dirty"),
  failedSync("clean", 0),
  failedSync("clean", 0.5),
  failedSync("revert", 0.5),
  failedSync("dirty", 0.5),
];
