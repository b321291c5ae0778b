import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { SLICE_BYTES } from "../../src/durability/files.js";
import { open } from "../../src/store/open.js";

const KEYS = 40_000;
const VALUE_BYTES = 200;
/** A slice ends with what reached its bound: a block of a checkpoint, or a record. */
const LAST_BYTES = 70_000;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fulmar-slices-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A runtime whose time stands still, so that only the amount of work ends a slice, and that counts turns. */
function countingRuntime() {
  const base = nodeRuntime();
  const count = { turns: 0 };
  const turn = (): Promise<void> => {
    count.turns++;
    return base.timers.turn();
  };
  const clock = { wallMs: () => base.clock.wallMs(), monotonicMs: () => 0 };
  return { runtime: { ...base, clock, timers: { ...base.timers, turn } }, count };
}

async function fill(checkpoint: boolean): Promise<void> {
  const db = await open<Uint8Array>(directory, { codec: "bytes", durability: "relaxed" });
  for (let key = 0; key < KEYS; key++) void db.set(key, new Uint8Array(VALUE_BYTES).fill(key));
  await db.flush();
  if (checkpoint) await db.checkpoint();
  await db.close();
}

describe("long work lets the event loop turn after a bounded part", () => {
  it.each([
    ["checkpoint", true],
    ["log", false],
  ])("while a store is opened from its %s", async (phase, checkpoint) => {
    await fill(checkpoint);
    const { runtime, count } = countingRuntime();
    const parts: { bytes: number; turns: number }[] = [];
    const db = await open<Uint8Array>(directory, {
      codec: "bytes",
      runtime,
      onProgress: (progress) => {
        if (progress.phase === phase && progress.bytesTotal > 1)
          parts.push({ bytes: progress.bytes, turns: count.turns });
      },
    });
    expect(db.count()).toBe(KEYS);
    await db.close();
    let before = { bytes: 0, turns: -1 };
    for (const part of parts.slice(0, -1)) {
      expect(part.bytes - before.bytes).toBeLessThan(SLICE_BYTES + LAST_BYTES);
      expect(part.turns).toBeGreaterThan(before.turns);
      before = part;
    }
    expect(parts.length).toBeGreaterThan((KEYS * VALUE_BYTES) / (SLICE_BYTES + LAST_BYTES));
    expect((parts.at(-1)?.bytes ?? 0) - before.bytes).toBeLessThan(SLICE_BYTES + LAST_BYTES);
  });
});
