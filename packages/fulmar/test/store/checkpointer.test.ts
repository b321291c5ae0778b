import { describe, expect, test } from "vitest";
import type { DataDirectory } from "../../src/durability/data-directory.js";
import { open } from "../../src/index.js";
import type { MemoryEngine } from "../../src/memory/engine.js";
import type { HybridClock } from "../../src/record/hybrid-clock.js";
import { Checkpointer } from "../../src/store/checkpointer.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";
import type { Committer } from "../../src/transaction/committer.js";

const MIB = 1024 * 1024;
const POLICY = { everyCommits: Number.MAX_SAFE_INTEGER, everyMs: Number.MAX_SAFE_INTEGER, everyBytes: 0 };

/** A checkpointer beside a log of a given length, over a state of 100 MiB whose checkpoint has 25 MiB. */
function beside(
  log: { bytes: number },
  compressed: boolean,
  version = 9,
): { checkpointer: Checkpointer; counts: number[]; events: string[] } {
  const counts: number[] = [];
  const events: string[] = [];
  const checkpoint = { version: 1, bytes: 25 * MIB, running: false };
  const directory = {
    status: () => ({ segments: 1, logBytes: log.bytes, logBytesSinceCheckpoint: log.bytes, checkpoint }),
    startSegment: () => {
      events.push("segment");
      return Promise.resolve();
    },
    checkpoint: ({ version }: { version: number }) => {
      events.push("checkpoint");
      counts.push(log.bytes / MIB);
      return Promise.resolve({ version, number: 2, entries: 1, bytes: checkpoint.bytes });
    },
  } as unknown as DataDirectory;
  const engine = { version, usage: () => ({ recordBytes: 100 * MIB }) } as unknown as MemoryEngine;
  const pin = { version: 5, release: () => undefined };
  const committer = {
    seq: 9,
    pinSynced: () => {
      events.push("pin");
      return Promise.resolve({ pin, coverage: {} });
    },
  } as unknown as Committer;
  const { runtime } = simulatedStorage();
  const clock = { last: 9 } as unknown as HybridClock;
  const parts = { runtime, directory, committer, engine, clock, policy: POLICY, segmentBytes: 16 * MIB };
  return { checkpointer: new Checkpointer({ ...parts, compressed }), counts, events };
}

describe("the log, without a policy of one's own", () => {
  test.each([
    [false, 64],
    [true, 200],
  ])("with compression %s grows to %d MiB before a checkpoint, again and again", async (compressed, most) => {
    const log = { bytes: 0 };
    const { checkpointer, counts } = beside(log, compressed);
    for (let round = 1; round <= 2; round++) {
      log.bytes = most * MIB - 1;
      checkpointer.consider();
      expect(counts).toHaveLength(round - 1);
      log.bytes++;
      checkpointer.consider();
      await new Promise(setImmediate);
      expect(counts).toEqual(Array(round).fill(most));
    }
    await checkpointer.stop();
  });
});

test("a checkpoint is of a state before which the log went on in a new segment", async () => {
  const { checkpointer, events } = beside({ bytes: 0 }, false);
  await checkpointer.run();
  expect(events).toEqual(["segment", "pin", "checkpoint"]);
  await checkpointer.stop();
});

describe("a checkpoint if anything is in none", () => {
  test("is written once, and not again before the next commit", async () => {
    // The newest commit is the one that is synced, and that a checkpoint therefore holds.
    const { checkpointer, events } = beside({ bytes: 0 }, false, 5);
    expect(await checkpointer.runIfDirty()).toMatchObject({ version: 5 });
    expect(await checkpointer.runIfDirty()).toBeUndefined();
    expect(events).toEqual(["segment", "pin", "checkpoint"]);
  });

  test("waits for the one that runs, which is enough if it holds everything", async () => {
    const { checkpointer, events } = beside({ bytes: 0 }, false, 5);
    const running = checkpointer.run();
    expect(await Promise.all([checkpointer.runIfDirty(), checkpointer.runIfDirty()])).toEqual([
      undefined,
      undefined,
    ]);
    await running;
    expect(events).toEqual(["segment", "pin", "checkpoint"]);
  });

  test("follows the one that runs if that does not", async () => {
    const { checkpointer, events } = beside({ bytes: 0 }, false, 9);
    const running = checkpointer.run();
    expect(await checkpointer.runIfDirty()).toMatchObject({ version: 5 });
    await running;
    expect(events.filter((event) => event === "checkpoint")).toHaveLength(2);
  });

  test("is for stores with a directory, and says when they are closed", async () => {
    const { runtime } = simulatedStorage({ cryptography: nodeCryptography });
    const db = await open<number>("/db", { runtime });
    expect(await db.checkpointIfDirty()).toBeUndefined();
    const { version } = await db.set("a", 1);
    expect(await db.checkpointIfDirty()).toMatchObject({ version, entries: 1 });
    expect(db.status().dirty).toBe(false);
    expect(await db.checkpointIfDirty()).toBeUndefined();
    await db.close();
    await expect(db.checkpointIfDirty()).rejects.toMatchObject({ code: "CLOSED" });

    const inMemory = await open<number>();
    await inMemory.set("a", 1);
    expect(await inMemory.checkpointIfDirty()).toBeUndefined();
    await inMemory.close();
  });
});
