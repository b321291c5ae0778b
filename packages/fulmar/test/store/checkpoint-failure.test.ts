import { expect, test } from "vitest";
import type { Diagnostics } from "../../src/base/runtime/interface.js";
import { open } from "../../src/index.js";
import { nodeCryptography, simulatedStorage } from "../../src/testing/index.js";

test("a checkpoint in the background that fails is in the status until one succeeds", async () => {
  const storage = simulatedStorage({ cryptography: nodeCryptography });
  const channels: string[] = [];
  let failed = (): void => undefined;
  const diagnostics: Diagnostics = {
    emit: (event) => {
      channels.push(event);
      failed();
    },
  };
  const runtime = { ...storage.runtime, diagnostics };
  const db = await open("/data", { runtime, checkpoint: { everyCommits: 1 } });
  for (const round of [1, 2]) {
    expect(db.status()).not.toHaveProperty("checkpointError");
    storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "EIO", times: 1 });
    const told = new Promise<void>((resolve) => {
      failed = resolve;
    });
    await db.set("k", round);
    await told;
    expect(channels).toHaveLength(round);
    expect(channels[0]).toBe("checkpoint-error");
    const { state, checkpointError } = db.status();
    expect([state, checkpointError?.at]).toEqual(["open", storage.clock.wallMs()]);
    expect(checkpointError?.error).toMatch(/^IO_ERROR: .*checkpoint/);
    await db.checkpoint();
    await storage.advance(10_000);
  }
  await db.close();
  expect(db.status()).not.toHaveProperty("checkpointError");
  expect(channels).toHaveLength(2);
});

test.each([-86_400_000, 86_400_000])(
  "T-CLK-03: one that failed is tried again after five seconds, though the clock was set by %i ms",
  async (stepMs) => {
    const storage = simulatedStorage({ cryptography: nodeCryptography });
    const db = await open("/data", { runtime: storage.runtime, checkpoint: { everyCommits: 1 } });
    storage.disk.faults.add({ operations: ["write"], path: "/checkpoint/", code: "EIO", times: 1 });
    const settled = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await storage.runtime.timers.turn();
    };
    await db.set("k", 1);
    await settled();
    expect(db.status()).toHaveProperty("checkpointError");
    storage.clock.jump(stepMs);
    await storage.advance(4_000);
    await db.set("k", 2);
    await settled();
    expect(db.status()).toHaveProperty("checkpointError");
    await storage.advance(2_000);
    await db.set("k", 3);
    await settled();
    expect(db.status()).not.toHaveProperty("checkpointError");
    expect(db.status().checkpoint?.version).toBe(3);
    await db.close();
  },
);
