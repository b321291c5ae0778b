import { describe, expect, it } from "vitest";
import type { Connection, Runtime } from "../../src/base/runtime/interface.js";
import { NO_CRYPTOGRAPHY, type SimulatedNode, SimulatedWorld } from "../../src/testing/simulated/index.js";

const LIMITS = { frameBytesMax: 1024, connectionsMax: 10, timeoutMs: 100 };

/** Writes, now and then syncs, and sends what it wrote to its peer, until it is killed. */
async function program(runtime: Runtime, peer: string): Promise<void> {
  const name = `log-${runtime.clock.wallMs()}`;
  const file = await runtime.fileSystem.open(`/${name}`, "create");
  let connection: Connection | undefined;
  for (let i = 0; ; i++) {
    const record = new Uint8Array(1 + runtime.random.below(100));
    runtime.random.fill(record);
    await file.write(record, i * 100);
    if (i % 7 === 0) await file.syncData();
    try {
      connection ??= await runtime.transport.connect(peer, LIMITS);
    } catch {
      connection = undefined;
    }
    connection?.send(record);
    await new Promise<void>((resolve) => runtime.timers.after(runtime.random.below(20), resolve));
  }
}

async function start(node: SimulatedNode, runtime: Runtime, peer: string): Promise<void> {
  await runtime.transport.listen(`${node.name}:1`, LIMITS, (connection) => {
    connection.start({ frame: () => {}, drained: () => {}, closed: () => {} });
  });
  // Ends with the kill of its process, and with the error that says so.
  program(runtime, peer).catch(() => {});
}

async function history(seed: number): Promise<{ hash: string; count: number; disks: string[] }> {
  const link = { loss: 0.05, duplicate: 0.05, reorder: 0.1, corrupt: 0.05 };
  const world = new SimulatedWorld({ seed, cryptography: NO_CRYPTOGRAPHY, link });
  const chaos = world.prng.fork("chaos");
  const peers = { a: "b:1", b: "c:1", c: "a:1" };
  for (const [name, peer] of Object.entries(peers))
    await start(world.node(name), world.node(name).runtime, peer);
  for (let round = 0; round < 12; round++) {
    await world.runFor(50);
    const node = world.node(chaos.pick(["a", "b", "c"]));
    const deed = chaos.below(4);
    if (deed === 0) node.kill();
    else if (deed === 1) node.powerCut();
    else if (deed === 2) world.network.partition([node.name], ["a", "b", "c"]);
    else world.network.heal();
    if (!node.alive) await start(node, node.restart(), peers[node.name as keyof typeof peers]);
  }
  return {
    hash: world.trace.hash,
    count: world.trace.count,
    disks: world.nodes().map((n) => n.disk.fingerprint()),
  };
}

describe("a simulated world", () => {
  it("is a function of its seed", async () => {
    const first = await history(1);
    expect(first.count).toBeGreaterThan(500);
    expect(await history(1)).toEqual(first);
    const second = await history(2);
    expect(second.hash).not.toBe(first.hash);
    expect(await history(2)).toEqual(second);
  });

  it("lets un-awaited writes overtake each other", async () => {
    const results = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const world = new SimulatedWorld({ seed, cryptography: NO_CRYPTOGRAPHY });
      const { fileSystem } = world.node("a").runtime;
      const file = await world.complete(fileSystem.open("/a", "create"));
      await world.complete(Promise.all([1, 2].map((byte) => file.write(Uint8Array.of(byte), 0))));
      results.add(world.node("a").disk.image().get("/a")?.[0] ?? 0);
    }
    expect([...results].sort()).toEqual([1, 2]);
  });

  it("lets calls under way at a kill have their effect or not, and rejects them all", async () => {
    const results = new Set<number>();
    for (let seed = 0; seed < 20; seed++) {
      const world = new SimulatedWorld({ seed, cryptography: NO_CRYPTOGRAPHY });
      const node = world.node("a");
      const file = await world.complete(node.runtime.fileSystem.open("/a", "create"));
      const write = file.write(Uint8Array.of(1), 0);
      node.kill();
      await expect(write).rejects.toMatchObject({ code: "SIMULATED_KILL" });
      await world.run();
      results.add(node.disk.image().get("/a")?.length ?? -1);
    }
    expect([...results].sort()).toEqual([0, 1]);
  });

  it("keeps what a node synced through a power cut, under its own wrong clock", async () => {
    const world = new SimulatedWorld({ seed: 9, cryptography: NO_CRYPTOGRAPHY });
    const node = world.node("a", { clock: { offsetMs: 5000 }, disk: { profile: "ext4-like" } });
    expect(node.runtime.clock.wallMs() - world.node("b").runtime.clock.wallMs()).toBe(5000);
    const file = await world.complete(node.runtime.fileSystem.open("/a", "create"));
    await world.complete(file.write(Uint8Array.of(7), 0));
    await world.complete(file.syncData());
    node.powerCut();
    expect(node.alive).toBe(false);
    const again = node.restart().fileSystem;
    expect(await world.complete(again.list("/"))).toEqual(["a"]);
    expect(node.disk.image().get("/a")).toEqual(Uint8Array.of(7));
  });
});
