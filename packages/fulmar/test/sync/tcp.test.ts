import { afterEach, describe, expect, it } from "vitest";
import { open, type Store } from "../../src/index.js";
import { type ReplicateOptions, type Replicator, replicate } from "../../src/sync/index.js";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Node {
  readonly db: Store<unknown>;
  readonly sync: Replicator;
}

async function start(options: ReplicateOptions = {}): Promise<Node> {
  const db = await open();
  cleanups.push(() => db.close());
  const sync = await replicate(db, { listen: "127.0.0.1:0", secret: "0123456789abcdef", ...options });
  cleanups.push(() => sync.close());
  return { db, sync };
}

/** Resolves when the digests of all stores agree. */
async function converged(...nodes: readonly Node[]): Promise<void> {
  const isDone = (): boolean => new Set(nodes.map(({ db }) => db.digest())).size === 1;
  while (!isDone()) {
    await new Promise<void>((resolve) => {
      const stops = nodes.map(({ sync }) => sync.on("merge", () => done()));
      const poll = setTimeout(() => done(), 50);
      const done = (): void => {
        clearTimeout(poll);
        for (const stop of stops) stop();
        resolve();
      };
    });
  }
}

function addressOf({ sync }: Node): string {
  if (sync.address === undefined) throw new Error("the node listens");
  return sync.address;
}

describe("replicate() between real stores over TCP", () => {
  it("carries writes and deletions both ways", async () => {
    const a = await start();
    const b = await start({ peers: [addressOf(a)] });
    await a.db.set("x", 1);
    await b.db.set("y", 2);
    await a.sync.synced(undefined, { peers: 1 });
    await b.sync.synced(undefined, { peers: 1 });
    expect(a.db.get("y")).toBe(2);
    expect(b.db.get("x")).toBe(1);
    await b.db.delete("x");
    await b.sync.synced();
    expect(a.db.has("x")).toBe(false);
    await converged(a, b);
  });

  it("replicates without a secret on loopback", async () => {
    const a = await start({ secret: undefined });
    const b = await start({ secret: undefined, peers: [addressOf(a)] });
    await a.db.set("x", 1);
    await a.sync.synced(undefined, { peers: 1 });
    expect(b.db.get("x")).toBe(1);
  });

  it("T-SYNC-02: a first sync of many pages arrives whole", async () => {
    const a = await start({ pageBytes: 4096 });
    for (let i = 0; i < 20; i++) {
      await a.db.batch(
        Array.from({ length: 50 }, (_, j) => ({
          type: "set" as const,
          key: `k${i}-${j}`,
          value: "v".repeat(100),
        })),
      );
    }
    const b = await start({ peers: [addressOf(a)] });
    await a.sync.synced(undefined, { peers: 1 });
    expect(b.db.count()).toBe(1000);
    await converged(a, b);
  });

  it("T-TOPO-01: a chain without discovery converges", async () => {
    const a = await start({ discover: false });
    const b = await start({ discover: false, peers: [addressOf(a)] });
    const c = await start({ discover: false, peers: [addressOf(b)] });
    await a.db.set("a", 1);
    await b.db.set("b", 2);
    await c.db.set("c", 3);
    await converged(a, b, c);
    expect(a.db.get("c")).toBe(3);
    expect(a.sync.peers().map((peer) => peer.state)).toEqual(["connected"]);
  });

  it("discovers members through any one of them", async () => {
    const a = await start();
    const b = await start({ peers: [addressOf(a)] });
    const c = await start({ peers: [addressOf(a)] });
    const isMesh = (node: Node): boolean =>
      node.sync.peers().filter((peer) => peer.state === "connected").length === 2;
    while (![a, b, c].every(isMesh)) {
      await new Promise<void>((resolve) => {
        const stop = c.sync.on("peer", () => finish());
        const poll = setTimeout(() => finish(), 20);
        const finish = (): void => {
          clearTimeout(poll);
          stop();
          resolve();
        };
      });
    }
    await b.db.set("k", 1);
    await b.sync.synced(undefined, { peers: 2 });
    expect(c.db.get("k")).toBe(1);
  });

  it("closes with the store, and rejects who waits", async () => {
    const a = await start();
    const waiting = a.sync.synced();
    const rejected = expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
    await a.db.close();
    await rejected;
    await a.sync.close();
    await expect(a.sync.synced()).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("gives up waiting in time, and when aborted", async () => {
    const a = await start();
    await expect(a.sync.synced(undefined, { timeoutMs: 5 })).rejects.toMatchObject({ code: "TIMEOUT" });
    const controller = new AbortController();
    const waiting = a.sync.synced(undefined, { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("SEC: identity: refuses a node with another secret", async () => {
    const a = await start();
    const violation = new Promise<string>((resolve) => {
      a.sync.on("violation", (event) => resolve(event.code));
    });
    const b = await start({ secret: "another secret", peers: [addressOf(a)] });
    await b.db.set("k", 1);
    expect(await violation).toBe("AUTHENTICATION_FAILED");
    expect(a.db.has("k")).toBe(false);
  });
});
