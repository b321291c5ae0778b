import { afterEach, describe, expect, it } from "vitest";
import type { Listener, Runtime } from "../../src/base/runtime/interface.js";
import { open } from "../../src/index.js";
import { replicate } from "../../src/sync/index.js";
import { failureOf } from "../misuse/kinds.js";
import { areConnected, Cluster } from "./support/cluster.js";

let cluster: Cluster;

afterEach(async () => {
  await cluster.close();
});

/** A runtime whose `listen` takes until `release` is called, and which counts what listens. */
function slowListening(runtime: Runtime): { runtime: Runtime; release: () => void; listening: () => number } {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let count = 0;
  const listen: Runtime["transport"]["listen"] = async (address, options, accept): Promise<Listener> => {
    await gate;
    const listener = await runtime.transport.listen(address, options, accept);
    count++;
    return {
      address: listener.address,
      close: async () => {
        count--;
        await listener.close();
      },
    };
  };
  return {
    runtime: { ...runtime, transport: { ...runtime.transport, listen } },
    release,
    listening: () => count,
  };
}

describe("beginning and end of replication", () => {
  it.each(["a:1", "0.0.0.0:1"])(
    "a store that closes while %s is being bound leaves nothing bound",
    async (listen) => {
      cluster = new Cluster(1);
      const { runtime, release, listening } = slowListening(cluster.world.runtime("a"));
      const db = await cluster.during(open(undefined, { runtime }));
      const starting = replicate(db, { listen, secret: "0123456789abcdef" });
      const outcome = starting.then(
        () => "started",
        (error: { code?: string }) => error.code,
      );
      await cluster.world.run(100);
      await cluster.during(db.close());
      release();
      expect(await cluster.during(outcome)).toBe("CLOSED");
      expect(listening()).toBe(0);
    },
  );

  it("a closed store, or one that is closing, does not begin", async () => {
    cluster = new Cluster(1);
    const db = await cluster.during(open(undefined, { runtime: cluster.world.runtime("a") }));
    await cluster.during(db.set("k", 1));
    const starting = replicate(db, { peers: ["b:1"] });
    const closing = db.close();
    await expect(cluster.during(starting)).rejects.toMatchObject({ code: "CLOSED" });
    await cluster.during(closing);
    await expect(cluster.during(replicate(db, {}))).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("a store replicates once at a time: two would take each other's connections", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a");
    await expect(replicate(a.db, { peers: ["b:1"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await cluster.during(a.sync.close());
    const again = await cluster.during(replicate(a.db, { listen: "a:1", secret: "0123456789abcdef" }));
    const b = await cluster.add("b", { peers: ["a:1"] });
    expect(await cluster.world.run(1000, () => areConnected([b]))).toBe(true);
    await cluster.during(again.close());
    // A beginning that fails does not count.
    await expect(replicate(a.db, { pageBytes: -1 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const third = await cluster.during(replicate(a.db, {}));
    await cluster.during(third.close());
  });

  it("what is no address is refused as that, with a secret and without, and is never dialled", async () => {
    cluster = new Cluster(1);
    const a = await cluster.add("a");
    const db = await cluster.during(open(undefined, { runtime: cluster.world.runtime("b") }));
    const refusal = "FulmarError ADDRESS_INVALID";
    for (const address of ["b", "b:70000", ":1", ""]) {
      for (const secret of [undefined, "0123456789abcdef"]) {
        for (const options of [{ listen: address }, { peers: ["a:1", address] }, { advertise: address }]) {
          expect(await failureOf(() => replicate(db, { ...options, secret }))).toBe(refusal);
        }
      }
      expect(await failureOf(() => a.sync.addPeer(address))).toBe(refusal);
    }
    expect(a.sync.peers()).toEqual([]);
    await cluster.during(db.close());
  });

  it("a member is removed by its id, and addresses of nodes that were never met are not in its stead", async () => {
    cluster = new Cluster(1);
    const { sync } = await cluster.add("a", { peers: ["b:1"] });
    for (const id of [undefined, "", "b:1", Symbol("b")]) {
      expect(await failureOf(() => sync.removePeer(id as never))).toBe("TypeError INVALID_ARGUMENT");
    }
    expect(sync.peers().map(({ address }) => address)).toEqual(["b:1"]);
    // Somebody else may have removed it already.
    await cluster.during(sync.removePeer("0".repeat(32)));
  });

  it("a listener for what never happens is refused", async () => {
    cluster = new Cluster(1);
    const { sync } = await cluster.add("a");
    for (const event of ["peers", "toString", undefined, Symbol("peer")]) {
      expect(await failureOf(() => sync.on(event as never, () => {}))).toBe("TypeError INVALID_ARGUMENT");
    }
    expect(await failureOf(() => sync.on("peer", undefined as never))).toBe("TypeError INVALID_ARGUMENT");
  });

  it("a pull can be no longer than one record of the log holds", async () => {
    cluster = new Cluster(1);
    const db = await cluster.during(open(undefined, { runtime: cluster.world.runtime("a") }));
    await expect(replicate(db, { stagedBytesMax: 2 ** 31 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  it("closing in the midst of a pull of many pages leaves neither pins nor timers", async () => {
    cluster = new Cluster(1, { pageBytes: 256 });
    const a = await cluster.add("a");
    await cluster.during(
      a.db.batch(
        Array.from({ length: 500 }, (_, i) => ({ type: "set" as const, key: i, value: "x".repeat(50) })),
      ),
    );
    for (let i = 0; i < 500; i++) await cluster.during(a.db.set(`s${i}`, "x".repeat(50)));
    const b = await cluster.add("b", { peers: ["a:1"] });
    expect(await cluster.world.run(5000, () => b.sync.counts().stagedBytes > 0)).toBe(true);
    await cluster.during(Promise.all([a.sync.close(), b.sync.close()]));
    await cluster.world.run(60_000);
    expect(cluster.world.pending).toBe(0);
    // Old versions go at once: nothing holds the state that was being sent.
    for (let i = 0; i < 10; i++) await cluster.during(a.db.set("s1", i));
    await cluster.during(a.db.flush());
    expect(a.db.status().memory.oldVersions).toBe(0);
  });
});
