import { describe, expect, it } from "vitest";
import type { Connection, ConnectionHandler } from "../../src/base/runtime/interface.js";
import { type LinkOptions, NO_CRYPTOGRAPHY, SimulatedWorld } from "../../src/testing/simulated/index.js";

const LIMITS = { frameBytesMax: 1 << 20, connectionsMax: 10, timeoutMs: 1000 };

class Recorder implements ConnectionHandler {
  readonly frames: number[] = [];
  readonly events: string[] = [];
  frame(bytes: Uint8Array): void {
    this.frames.push(bytes.length === 1 ? bytes[0] : bytes.length);
  }
  drained(): void {
    this.events.push("drained");
  }
  closed(cause?: Error): void {
    this.events.push(cause === undefined ? "closed" : `closed: ${(cause as Error & { code: string }).code}`);
  }
}

interface Talk {
  readonly world: SimulatedWorld;
  readonly client: Connection;
  readonly server: Connection;
  readonly atClient: Recorder;
  readonly atServer: Recorder;
}

async function talk(link: LinkOptions = {}, seed = 1): Promise<Talk> {
  const world = new SimulatedWorld({ seed, cryptography: NO_CRYPTOGRAPHY, link });
  const accepted: Connection[] = [];
  const server = world.node("b").runtime.transport;
  await server.listen("b:7", LIMITS, (connection) => accepted.push(connection));
  const client = await world.complete(world.node("a").runtime.transport.connect("b:7", LIMITS));
  const atClient = new Recorder();
  const atServer = new Recorder();
  client.start(atClient);
  accepted[0].start(atServer);
  return { world, client, server: accepted[0], atClient, atServer };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const sendAll = (connection: Connection, count: number): void => {
  for (const n of numbers(count)) connection.send(Uint8Array.of(n));
};

describe("a simulated network", () => {
  it("carries frames both ways, whole, once and in order", async () => {
    const { world, client, server, atClient, atServer } = await talk();
    sendAll(client, 100);
    sendAll(server, 50);
    await world.run();
    expect(atServer.frames).toEqual(numbers(100));
    expect(atClient.frames).toEqual(numbers(50));
  });

  it("delivers what was sent before a close, then closes both sides and forgets the connection", async () => {
    const { world, client, atClient, atServer } = await talk();
    sendAll(client, 20);
    client.close();
    client.send(Uint8Array.of(99));
    await world.run();
    expect(atServer.frames).toEqual(numbers(20));
    expect([atClient.events, atServer.events]).toEqual([["closed"], ["closed"]]);
    expect(world.network.connections).toBe(0);
  });

  it("delivers nothing before start, and keeps it", async () => {
    const world = new SimulatedWorld({ seed: 1, cryptography: NO_CRYPTOGRAPHY });
    const accepted: Connection[] = [];
    const listener = await world
      .node("b")
      .runtime.transport.listen("127.0.0.1:0", LIMITS, (c) => accepted.push(c));
    const client = await world.complete(world.node("a").runtime.transport.connect(listener.address, LIMITS));
    sendAll(client, 3);
    client.close();
    await world.run();
    const late = new Recorder();
    accepted[0].start(late);
    await world.run();
    expect([late.frames, late.events]).toEqual([[0, 1, 2], ["closed"]]);
  });

  it("loses, doubles, reorders and spoils frames when told to", async () => {
    const run = async (link: LinkOptions): Promise<number[]> => {
      const { world, client, atServer } = await talk(link);
      sendAll(client, 200);
      await world.run();
      return atServer.frames;
    };
    const lossy = await run({ loss: 0.3 });
    expect(lossy.length).toBeLessThan(180);
    expect(lossy).toEqual([...lossy].sort((a, b) => a - b));
    const doubled = await run({ duplicate: 0.3 });
    expect(doubled.length).toBeGreaterThan(220);
    expect([...new Set(doubled)].sort((a, b) => a - b)).toEqual(numbers(200));
    const reordered = await run({ reorder: 0.3 });
    expect(reordered).not.toEqual(numbers(200));
    expect([...reordered].sort((a, b) => a - b)).toEqual(numbers(200));
    const spoilt = await run({ corrupt: 1 });
    for (const [i, byte] of spoilt.entries()) expect(Math.log2(byte ^ i) % 1).toBe(0);
  });

  it("makes a sender wait for a paused receiver, and tells it when the queue is empty", async () => {
    const { world, client, server, atClient, atServer } = await talk();
    server.pause();
    for (let i = 0; i < 10; i++) client.send(new Uint8Array(100_000));
    await world.run();
    expect(client.queuedBytes).toBe(800_000);
    expect(atServer.frames).toHaveLength(0);
    server.resume();
    await world.run();
    expect(atServer.frames).toHaveLength(10);
    expect([client.queuedBytes, atClient.events]).toEqual([0, ["drained"]]);
  });

  it("takes time for bytes on a narrow line", async () => {
    const { world, client, atServer } = await talk({ bytesPerSecond: 100_000 });
    const startMs = world.scheduler.nowMs;
    client.send(new Uint8Array(50_000));
    await world.run({ until: () => atServer.frames.length === 1 });
    expect(world.scheduler.nowMs - startMs).toBeGreaterThan(500);
  });

  it("closes on a frame above the limit, which may be raised while frames wait", async () => {
    const { world, client, server, atClient, atServer } = await talk();
    server.limitFrames(10);
    client.send(new Uint8Array(10));
    client.send(new Uint8Array(11));
    await world.run();
    expect([atServer.frames, atServer.events]).toEqual([[10], ["closed: PROTOCOL_VIOLATION"]]);
    expect(atClient.events).toEqual(["closed: CONNECTION_LOST"]);
  });

  it("swallows frames in a partition, one-way if so asked, and breaks the connection when it heals", async () => {
    const { world, client, server, atClient, atServer } = await talk();
    world.network.partition(["a"], ["b"], { oneWay: true });
    sendAll(client, 5);
    sendAll(server, 5);
    await world.runFor(10_000);
    expect([atServer.frames, atClient.frames]).toEqual([[], numbers(5)]);
    expect([atServer.events, atClient.events]).toEqual([[], []]);
    await expect(
      world.complete(world.node("a").runtime.transport.connect("b:7", LIMITS)),
    ).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    world.network.heal();
    await world.run();
    expect([atServer.events, atClient.events]).toEqual([
      ["closed: CONNECTION_LOST"],
      ["closed: CONNECTION_LOST"],
    ]);
    await world.complete(world.node("a").runtime.transport.connect("b:7", LIMITS));
  });

  it("swallows what was under way when a partition began", async () => {
    const { world, client, atServer } = await talk();
    sendAll(client, 5);
    world.network.partition(["a"], ["b"]);
    await world.runFor(1000);
    expect(atServer.frames).toEqual([]);
    world.network.heal();
    await world.run();
    expect([atServer.frames, atServer.events]).toEqual([[], ["closed: CONNECTION_LOST"]]);
  });

  it("leaves a connection alone that sent nothing in a partition", async () => {
    const { world, client, atServer } = await talk();
    world.network.partition(["a"], ["b"]);
    await world.runFor(1000);
    world.network.heal();
    sendAll(client, 3);
    await world.run();
    expect([atServer.frames, atServer.events]).toEqual([numbers(3), []]);
  });

  it("delivers late, but in order, over a clogged line", async () => {
    const { world, client, atServer } = await talk({ delayLeastMs: 1, delayMostMs: 1 });
    world.network.clog("a", "b", 500);
    sendAll(client, 5);
    await world.runFor(499);
    expect(atServer.frames).toEqual([]);
    await world.run();
    expect(atServer.frames).toEqual(numbers(5));
  });

  it("delivers nothing that was under way when a connection was cut", async () => {
    const { world, client, atClient, atServer } = await talk();
    sendAll(client, 5);
    world.network.cut("a", "b");
    await world.run();
    expect(atServer.frames).toEqual([]);
    expect([atServer.events, atClient.events]).toEqual([
      ["closed: CONNECTION_LOST"],
      ["closed: CONNECTION_LOST"],
    ]);
  });

  it("resets the peers of a killed process, which can listen again after a restart", async () => {
    const { world, client, atClient, atServer } = await talk();
    world.node("b").kill();
    client.send(Uint8Array.of(1));
    await world.run();
    expect([atClient.events, atServer.events, atServer.frames]).toEqual([
      ["closed: CONNECTION_LOST"],
      [],
      [],
    ]);
    const dial = (): Promise<Connection> =>
      world.complete(world.node("a").runtime.transport.connect("b:7", LIMITS));
    await expect(dial()).rejects.toThrow(/refused/);
    await world
      .node("b")
      .restart()
      .transport.listen("b:7", LIMITS, () => {});
    await dial();
  });

  it("leaves the peers of a machine without power in the dark until it is back", async () => {
    const { world, client, atClient } = await talk();
    world.node("b").powerCut();
    client.send(Uint8Array.of(1));
    await world.runFor(60_000);
    expect(atClient.events).toEqual([]);
    await expect(world.complete(world.node("a").runtime.transport.connect("b:7", LIMITS))).rejects.toThrow(
      /no answer/,
    );
    world.node("b").restart();
    client.send(Uint8Array.of(1));
    await world.run();
    expect(atClient.events).toEqual(["closed: CONNECTION_LOST"]);
  });

  it("refuses addresses that are taken, foreign, unknown or no addresses, and one connection too many", async () => {
    const { world } = await talk();
    const { transport } = world.node("b").runtime;
    const listen = (address: string) => transport.listen(address, LIMITS, () => {});
    await expect(listen("b:7")).rejects.toMatchObject({ code: "ADDRESS_IN_USE" });
    await expect(listen("a:7")).rejects.toMatchObject({ code: "ADDRESS_INVALID" });
    await expect(listen("nonsense")).rejects.toMatchObject({ code: "ADDRESS_INVALID" });
    await expect(transport.connect("nowhere:1", LIMITS)).rejects.toMatchObject({ code: "ADDRESS_INVALID" });
    await transport.listen("b:8", { ...LIMITS, connectionsMax: 1 }, () => {});
    const dial = () => world.complete(world.node("a").runtime.transport.connect("b:8", LIMITS));
    await dial();
    await expect(dial()).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  });
});
