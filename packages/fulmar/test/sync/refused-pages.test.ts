import { afterEach, describe, expect, test } from "vitest";
import { open } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { Cluster } from "./support/cluster.js";
import { coverageOf, originId, RawPeer, rawEntries, rawPage, rawState } from "./support/raw-peer.js";

const NOW_MS = 1_800_000_000_000;

let cluster: Cluster;

afterEach(() => cluster.close());

describe("a pull of pages of which some are refused", () => {
  test.each([0, 1, 2])(
    "T-SYNC-02: what is refused of page %i of three is owed, though the others were clean",
    async (refused) => {
      cluster = new Cluster(51, { pageBytes: 256 });
      const a = await cluster.add("a");
      const peer = await RawPeer.connect(cluster, "a:1", "c");
      const letters = ["c", "d", "e"];
      const to = coverageOf({ c: 3, d: 3, e: 3 });
      /** Three commits of one writer, of which the second may be stamped an hour ahead. */
      const page = (index: number, cut: number, isAhead: boolean): ReturnType<typeof rawPage> =>
        rawPage({
          cut,
          index,
          last: index === 2,
          throughOrigin: originId(letters[index]),
          throughSeq: 3,
          dictionary: letters.map(originId),
          ...(index === 0 ? { to } : {}),
          entries: rawEntries(
            [1, 2, 3].map((seq) => ({
              key: `${letters[index]}${seq}`,
              value: "v",
              origin: index + 1,
              seq,
              ...(isAhead && seq === 2 ? { wallMs: NOW_MS + 3_600_000 } : {}),
            })),
          ),
        });
      peer.send(rawState({ number: 1 }), ...[0, 1, 2].map((index) => page(index, 1, index === refused)));
      await cluster.world.run(200);
      expect(a.db.count()).toBe(8);
      const covered = (letter: string): unknown => portOf(a.db).coverage().of(originId(letter));
      for (const [i, letter] of letters.entries()) {
        const holes = i === refused ? [{ from: 2, to: 2 }] : [];
        expect([letter, covered(letter)]).toEqual([letter, { upTo: 3, holes }]);
      }
      expect(peer.last("state")?.coverage.includes(to)).toBe(false);
      // It is asked for again, and then it is taken.
      for (let i = 0; i < 60 && !peer.last("state")?.retryHoles; i++) {
        peer.send(rawState({ number: 2 + i }));
        await cluster.world.run(1000);
      }
      expect(peer.last("state")?.retryHoles).toBe(true);
      const letter = letters[refused];
      peer.send(
        rawPage({
          cut: 2,
          from: coverageOf({ [letter]: 3 }, [{ from: 2, to: 2 }]),
          to: coverageOf({ [letter]: 3 }),
          dictionary: [originId(letter)],
          entries: rawEntries([{ key: `${letter}2`, value: "v", origin: 1, seq: 2 }]),
        }),
      );
      await cluster.world.run(200);
      expect([a.db.count(), covered(letter)]).toEqual([9, { upTo: 3, holes: [] }]);
    },
  );

  test.each(["atomic", "progressive"] as const)(
    "T-SYNC-02: every second page has something refused, and the rest of all arrives (%s)",
    async (bootstrap) => {
      cluster = new Cluster(52, { pageBytes: 1024 });
      const a = await cluster.add("a");
      const isLarge = (i: number): boolean => i % 15 === 3;
      for (let i = 0; i < 400; i++) {
        await cluster.during(a.db.set(`k${i}`, "v".repeat(isLarge(i) ? 300 : 100)));
      }
      const runtime = cluster.world.runtime("b");
      const db = await cluster.during(open<unknown>(undefined, { runtime, limits: { valueBytesMax: 200 } }));
      await cluster.addWith("b", db, { peers: ["a:1"], bootstrap });
      const owed = Array.from({ length: 400 }, (_, i) => i).filter(isLarge).length;
      expect(await cluster.world.run(60_000, () => db.count() === 400 - owed)).toBe(true);
      await cluster.world.run(1000);
      const { upTo, holes } = portOf(db).coverage().of(portOf(a.db).incarnation);
      expect([upTo, holes.length]).toEqual([portOf(a.db).coverage().of(portOf(a.db).incarnation).upTo, owed]);
      for (let i = 0; i < 400; i++) expect(db.has(`k${i}`)).toBe(!isLarge(i));
      // The next pull of many pages does not wait for what the first one lacks.
      await cluster.during(
        Promise.all(Array.from({ length: 100 }, (_, i) => a.db.set(`l${i}`, "v".repeat(100)))),
      );
      expect(await cluster.world.run(10_000, () => db.count() === 500 - owed)).toBe(true);
    },
  );
});
