import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CommitEvent, open, type Store } from "../../../src/index.js";
import { brief, take } from "./support.js";

/** What a stream shows next, short. */
async function next(stream: Parameters<typeof take<unknown>>[0]): Promise<unknown[]> {
  const [commit] = await take(stream, 1);
  return brief(commit);
}

/** A store without a directory that keeps so much of its history. */
function memory(historyBytes: number): Promise<Store<string>> {
  return open<string>(undefined, { codec: "text", historyBytes });
}

/** What a consumer must be shown that has room for `room` commits, and no history to read on from. */
class Model {
  readonly #room: number;
  readonly #waiting: unknown[][] = [];
  #version = 0;
  /** Up to here it was shown everything, when it cannot be shown what follows. */
  #missedAfter: number | undefined;

  constructor(room: number) {
    this.#room = room;
  }

  get hasMore(): boolean {
    return this.#waiting.length > 0 || this.#missedAfter !== undefined;
  }

  set(): void {
    const before = this.#version++;
    if (this.#missedAfter !== undefined) return;
    if (this.#waiting.length >= this.#room) this.#missedAfter = before;
    else this.#waiting.push([this.#version, "k", `${this.#version}`]);
  }

  next(): unknown[] {
    const first = this.#waiting.shift();
    if (first !== undefined) return first;
    const gap = [this.#version, "gap", this.#missedAfter, this.#version];
    this.#missedAfter = undefined;
    return gap;
  }
}

describe("after a gap without history", () => {
  test.each([1, 2, 1000])("a consumer one commit behind is shown each, with room for %i", async (commits) => {
    await using db = await memory(0);
    const stream = db.watch({}, { limits: { commits } });
    const missed = commits + 3;
    for (let n = 1; n <= missed; n++) await db.set("k", `${n}`);
    await take(stream, commits);
    expect(await next(stream)).toEqual([missed, "gap", commits, missed]);
    for (let n = missed + 1; n <= missed + 5; n++) {
      await db.set("k", `${n}`);
      expect(await next(stream)).toEqual([n, "k", `${n}`]);
    }
  });

  test("a consumer of commits that are larger than the history, too, with the limits that nobody set", async () => {
    await using db = await open<Uint8Array>(undefined, { codec: "bytes" });
    const stream = db.watch({});
    const large = new Uint8Array(2 << 20);
    for (let n = 1; n <= 8; n++) await db.set("k", large);
    expect((await take(stream, 5)).map(({ version, gap }) => [version, gap])).toEqual([
      ...[1, 2, 3, 4].map((version) => [version, undefined]),
      [8, { after: 4, through: 8 }],
    ]);
    for (let n = 9; n <= 12; n++) {
      await db.set("k", large);
      expect((await take(stream, 1)).map(({ version, gap }) => [version, gap])).toEqual([[n, undefined]]);
    }
  });

  test.each([false, true])(
    "what is published while it is on its way waits behind it: coalesce %s",
    async (coalesce) => {
      for (let turns = 0; turns < 20; turns++) {
        await using db = await memory(0);
        const stream = db.watch({}, { coalesce, limits: { commits: 1, bytes: 1 } });
        await db.set("k", "1");
        await db.set("k", "2");
        expect(await next(stream)).toEqual([1, "k", "1"]);
        const pending = stream.next();
        // After each of these turns the stream has come a little further with its gap.
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        await db.set("k", "3");
        const { gap } = (await pending).value as CommitEvent<string>;
        expect([2, 3]).toContain(gap?.through);
        if (gap?.through === 2) expect(await next(stream), `after ${turns} turns`).toEqual([3, "k", "3"]);
      }
    },
  );

  test("who falls behind again is told of what was missed since, and of nothing that was shown", async () => {
    const room = fc.integer({ min: 1, max: 4 });
    const steps = fc.array(fc.constantFrom("set", "set", "next"), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(room, steps, async (commits, all) => {
        await using db = await memory(0);
        const stream = db.watch({}, { limits: { commits } });
        const model = new Model(commits);
        const take1 = async (): Promise<void> => expect(await next(stream)).toEqual(model.next());
        for (const step of all) {
          if (step === "set") {
            await db.set("k", `${db.version + 1}`);
            model.set();
          } else if (model.hasMore) await take1();
        }
        while (model.hasMore) await take1();
        // Nothing else waits.
        stream.close();
        expect(await stream.next()).toEqual({ done: true, value: undefined });
      }),
      { numRuns: 200 },
    );
  });
});

test("who has read all of the history takes what comes next at once: it needs not be kept", async () => {
  await using db = await memory(4096);
  const stream = db.watch({}, { limits: { commits: 3 } });
  for (let n = 1; n <= 5; n++) await db.set("k", `${n}`);
  expect((await take(stream, 5)).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
  // Larger than what is kept.
  await db.set("k", "x".repeat(5000));
  expect(db.status().history.oldest).toBe(6);
  expect(await next(stream)).toEqual([6, "k", "x".repeat(5000)]);
});
