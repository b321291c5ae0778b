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
