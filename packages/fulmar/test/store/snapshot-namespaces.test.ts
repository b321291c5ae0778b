import { describe, expect, test } from "vitest";
import { type Namespace, open, type Store } from "../../src/index.js";
import { simulatedStorage } from "../../src/testing/index.js";

/** What a call throws. */
function thrown(call: () => unknown): { code?: string; message?: string } {
  try {
    call();
  } catch (error) {
    return error as { code?: string; message?: string };
  }
  return {};
}

function rest<T>(iteration: Iterator<T>): T[] {
  return [...{ [Symbol.iterator]: () => iteration }];
}

async function overwrite(db: Store<number>, texts: Namespace<string>, dates: Namespace<Date>): Promise<void> {
  await db
    .atomic()
    .set("a", 2)
    .in(texts)
    .set("a", "two")
    .delete("b")
    .set("c", "new")
    .in(dates)
    .delete(1)
    .commit();
}

describe("a snapshot in a namespace", () => {
  const codec = {
    name: "dates",
    encode: (value: Date) => new TextEncoder().encode(value.toISOString()),
    decode: (bytes: Uint8Array) => new Date(new TextDecoder().decode(bytes)),
  };

  test("shows the same state, with keys and values of the namespace, from wherever it is asked for", async () => {
    await using db = await open<number>();
    const texts = db.namespace<string>("texts", { codec: "text" });
    const dates = db.namespace("dates", { codec });
    for (const take of [() => db.snapshot(), () => texts.snapshot(), () => dates.snapshot()]) {
      await db.set("a", 1);
      await texts.set("a", "one");
      await texts.set("b", "both");
      await texts.delete("c");
      const { version } = await dates.set(1, new Date(0));
      using snapshot = take();
      const [own, ofTexts, ofDates] = [snapshot.in(db), snapshot.in(texts), snapshot.in(dates).in(dates)];
      await overwrite(db, texts, dates);
      expect([own.version, ofTexts.version, ofDates.version]).toEqual([version, version, version]);
      expect([own.get("a"), own.count()]).toEqual([1, 1]);
      expect([ofTexts.getMany(["a", "b", "c"]), [...ofTexts.keys()]]).toEqual([
        ["one", "both", undefined],
        ["a", "b"],
      ]);
      expect([...ofDates.in(texts).values({ reverse: true })]).toEqual(["both", "one"]);
      expect(ofDates.entry(1)).toMatchObject({ key: 1, value: new Date(0), version });
    }
  });

  test("judges deadlines as of the moment at which the snapshot was taken", async () => {
    const machine = simulatedStorage();
    await using db = await open<string>(undefined, { runtime: machine.runtime });
    const sessions = db.namespace<string>("sessions", { ttl: 1000 });
    await sessions.set("s", "ada");
    using snapshot = db.snapshot();
    await machine.advance(5000);
    expect([sessions.get("s"), snapshot.in(sessions).get("s")]).toEqual([undefined, "ada"]);
    expect([...snapshot.in(sessions).values()]).toEqual(["ada"]);
  });

  test("is the snapshot: they hold one state, and end together", async () => {
    await using db = await open<number>();
    const space = db.namespace<number>("n");
    for (const key of [1, 2]) await space.set(key, 0);
    const close: ((snapshot: ReturnType<typeof db.snapshot>) => void)[] = [
      (snapshot) => snapshot.close(),
      (snapshot) => snapshot.in(space).close(),
    ];
    for (const [value, end] of close.entries()) {
      const snapshot = db.snapshot();
      const inside = snapshot.in(space);
      const iteration = inside.values()[Symbol.iterator]();
      expect(iteration.next().value).toBe(value);
      for (const key of [1, 2]) await space.set(key, value + 1);
      expect(db.status().memory.pinned.states).toBe(1);
      end(snapshot);
      end(snapshot);
      for (const each of [snapshot, inside, snapshot.in(space)]) {
        expect(thrown(() => each.get(1)).code).toBe("CLOSED");
      }
      expect(rest(iteration)).toEqual([value]);
      expect(db.status().memory).toMatchObject({ pinned: { states: 0 }, oldVersions: 0 });
    }
  });

  test("refuses what is no namespace of its store, as a transaction does", async () => {
    await using db = await open<number>();
    await using other = await open<number>();
    using snapshot = db.snapshot();
    for (const given of [other.namespace<number>("n"), other, {}, undefined, snapshot]) {
      const wrong = given as Store<number>;
      const refusal = await db.transact((tx) => thrown(() => tx.in(wrong)));
      expect(refusal.code).toBe("INVALID_ARGUMENT");
      expect(thrown(() => snapshot.in(wrong))).toEqual(refusal);
    }
  });
});
