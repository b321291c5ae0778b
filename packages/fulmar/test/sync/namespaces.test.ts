import { describe, expect, test } from "vitest";
import { type Codec, type CommitEvent, dump, load, open, type StandardSchema } from "../../src/index.js";
import { areConnected, Cluster } from "./support/cluster.js";

async function pair(seed: number) {
  const cluster = new Cluster(seed);
  const a = await cluster.add("a");
  const b = await cluster.add("b", { peers: ["a:1"] });
  await cluster.world.run(10_000, () => areConnected([a, b]));
  return { cluster, a, b };
}

function brief({ remote, changes }: CommitEvent): unknown[] {
  return [remote, ...changes.map(({ key, type, reason }) => [key, type === "set" ? type : reason])];
}

describe("namespaces between nodes", () => {
  test("values arrive, those of one commit as one, for watches of each namespace and of the store", async () => {
    for (const seed of [1, 2, 3]) {
      const { cluster, a, b } = await pair(seed);
      const seen = { one: [] as unknown[], two: [] as unknown[], store: [] as unknown[] };
      // At each moment, and in each part, the other parts are as far as this one.
      const states: unknown[] = [];
      const [one, two] = [b.db.namespace<number>("one"), b.db.namespace<string>("two", { codec: "text" })];
      one.watch({}, (commit) => {
        seen.one.push(brief(commit));
        states.push([one.get("k"), two.get("k"), b.db.get("k")]);
      });
      two.watch({}, (commit) => seen.two.push(brief(commit)));
      b.db.watch({}, (commit) => seen.store.push(brief(commit)));
      const stream = two.watch("k");
      const near = {
        one: a.db.namespace<number>("one"),
        two: a.db.namespace<string>("two", { codec: "text" }),
      };
      await a.db.atomic().set("k", 1).in(near.one).set("k", 1).in(near.two).set("k", "1").commit();
      expect(await cluster.converge()).toBe(true);
      await a.db.transact((tx) => {
        tx.in(near.one).set("k", 2);
        tx.in(near.two).delete("k");
      });
      expect(await cluster.converge()).toBe(true);
      expect(seen).toEqual({
        one: [
          [true, ["k", "set"]],
          [true, ["k", "set"]],
        ],
        two: [
          [true, ["k", "set"]],
          [true, ["k", "deleted"]],
        ],
        store: [[true, ["k", "set"]]],
      });
      expect(states).toEqual([
        [1, "1", 1],
        [2, undefined, 1],
      ]);
      const first = await stream.next();
      expect(first.value?.changes[0]).toMatchObject({
        key: "k",
        stamp: { origin: a.db.status().incarnation },
      });
      expect(first.value?.changes[0].value).toBe("1");
      // The same again, from the history.
      const past = two.watch({}, { since: 0 });
      const again = [await past.next(), await past.next()].map(({ value }) => value && brief(value));
      expect(again).toEqual(seen.two);
      expect(b.db.namespaces()).toEqual(["one"]);
      await cluster.close();
    }
  });

  test("a transaction conflicts with a merge that changed what it read in a namespace", async () => {
    const { cluster, a, b } = await pair(4);
    const [near, far] = [a.db.namespace<number>("n"), b.db.namespace<number>("n")];
    await near.set("k", 1);
    await cluster.converge();
    let runs = 0;
    await cluster.during(
      b.db.transact(async (tx) => {
        const value = tx.in(far).get("k") ?? 0;
        if (runs++ === 0) {
          await near.set("k", 10);
          while (far.get("k") !== 10) await cluster.world.run(10, () => far.get("k") === 10);
        }
        tx.in(far).set("k", value + 1);
      }),
    );
    expect([runs, far.get("k")]).toEqual([2, 11]);
    await cluster.close();
  });

  test("the lifetime of a namespace is its writer's: no default of the other side counts", async () => {
    const { cluster, a, b } = await pair(5);
    const near = a.db.namespace<number>("n", { ttl: 60_000 });
    const far = b.db.namespace<number>("n");
    const farOther = b.db.namespace<number>("n", { ttl: 1000 });
    await near.set("timed", 1);
    await near.set("for ever", 1, { ttl: Number.POSITIVE_INFINITY });
    await cluster.converge();
    expect(far.entry("timed")?.expiresAt).toBe(near.entry("timed")?.expiresAt);
    expect(farOther.ttl("for ever")).toBe(Number.POSITIVE_INFINITY);
    const expired = new Promise<unknown>((resolve) => far.watch("timed", (commit) => resolve(brief(commit))));
    await cluster.during(expired, 120_000);
    expect(await expired).toEqual([false, ["timed", "expired"]]);
    expect([near.has("timed"), far.has("timed"), far.has("for ever")]).toEqual([false, false, true]);
    await cluster.close();
  });

  test("what a peer wrote with another codec, or against a schema, tells who looks at it", async () => {
    const { cluster, a, b } = await pair(6);
    const text: Codec<string> = {
      name: "own",
      encode: (value) => new TextEncoder().encode(value),
      decode: (bytes) => new TextDecoder().decode(bytes),
    };
    const near = a.db.namespace<string>("n", { codec: text });
    const schema: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => ({ issues: [{ message: "nothing is right" }] }),
      },
    };
    const far = b.db.namespace("n", { schema });
    const stream = far.watch({});
    await near.batch([
      { type: "set", key: "bad", value: "{" },
      { type: "set", key: "good", value: "7" },
    ]);
    await near.set("later", "8");
    expect(await cluster.converge()).toBe(true);
    const { value: commit } = await cluster.during(stream.next());
    expect(commit?.changes.map(({ key }) => key)).toContain("good");
    const changes = new Map(commit?.changes.map((change) => [change.key, change]));
    expect(() => changes.get("bad")?.value).toThrow(expect.objectContaining({ code: "INVALID_VALUE" }));
    // What is merged is not validated: the schema here would refuse everything.
    expect(changes.get("good")?.value).toBe(7);
    expect(far.get("later")).toBe(8);
    expect([...far.keys()]).toEqual(["bad", "good", "later"]);
    expect(() => far.get("bad")).toThrow(expect.objectContaining({ code: "INVALID_VALUE" }));
    expect(() => [...far.values()]).toThrow(expect.objectContaining({ code: "INVALID_VALUE" }));
    expect(stream.isClosed).toBe(false);
    await b.db.namespace<string>("n", { codec: "text" }).set("mine", "9");
    let next = await stream.next();
    while (next.value?.changes[0].key !== "mine") next = await stream.next();
    expect(next.value.changes[0].value).toBe(9);
    await cluster.close();
  });

  test("a dump of one node, loaded on another, goes on to its peers", async () => {
    const { cluster, a, b } = await pair(7);
    await using source = await open<number>();
    await source.namespace<number>("n").set(["t", 1], 1);
    const far = 4_000_000_000_000;
    await source.namespace<number>("m").set("timed", 2, { expiresAt: far });
    await cluster.during(load(a.db, dump(source)));
    expect(await cluster.converge()).toBe(true);
    expect(b.db.namespaces()).toEqual(["m", "n"]);
    expect(b.db.namespace<number>("n").get(["t", 1])).toBe(1);
    expect(b.db.namespace("m").entry("timed")?.expiresAt).toBe(far);
    await cluster.close();
  });
});
