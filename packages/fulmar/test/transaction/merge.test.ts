import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes } from "../../src/base/bytes.js";
import { CLOCK_DRIFT_MS_MAX } from "../../src/base/limits.js";
import { encodeKey } from "../../src/keys/key.js";
import { OWN_PREFIX } from "../../src/keys/leads.js";
import { namespacePrefix } from "../../src/keys/namespace.js";
import { LATEST, NONE } from "../../src/memory/engine.js";
import { Coverage, type OriginCoverage } from "../../src/record/coverage.js";
import { HLC_TICKS_PER_MS } from "../../src/record/hybrid-clock.js";
import { compareStamps, type Stamp } from "../../src/record/stamp.js";
import type { Merged } from "../../src/transaction/committer.js";
import { roomForWinners } from "../../src/transaction/merge.js";
import { committerFixture, covering, key, OTHER, OWN, PEER, setting } from "./fixture.js";

/** A committer whose merges are durable at once. */
function mergeFixture(options: Parameters<typeof committerFixture>[0] = {}) {
  const fixture = committerFixture(options);
  const merge = async (pages: readonly Uint8Array[], adds = new Coverage()): Promise<Merged> => {
    const done = fixture.committer.merge(pages, adds);
    fixture.log.log();
    fixture.log.sync();
    return done;
  };
  return { ...fixture, merge, hlc: fixture.clock.next() };
}

/** What a merge says of itself, without its version. */
function outcome(applied: number, stale: number, ...refused: [seq: number, reason: string][]) {
  return { applied, stale, refused: refused.map(([seq, reason]) => ({ origin: PEER, seq, reason })) };
}

const NAMES = ["a", "b", "c"];
const COMMITS_MAX = 12;

interface Written {
  readonly stamp: Stamp;
  readonly name: string;
}

const writtenBy = ({ origin, seq }: Stamp): string => `${origin} ${seq}`;

/** Commits of three origins, each with one time, and the entries of these in some merges, one or several times. */
const history = fc
  .record({
    commits: fc.array(
      fc.record({ origin: fc.constantFrom(OWN, PEER, OTHER), later: fc.nat(3), keys: fc.subarray(NAMES) }),
      { minLength: 1, maxLength: COMMITS_MAX },
    ),
    merges: fc.array(fc.array(fc.nat(), { maxLength: 8 }), { maxLength: 8 }),
  })
  .map(({ commits, merges }) => {
    const entries = commits.flatMap(({ origin, later, keys }, i) =>
      keys.map((name): Written => ({ stamp: { hlc: later, origin, seq: i + 1 }, name })),
    );
    return merges.map((merge) => (entries.length === 0 ? [] : merge.map((n) => entries[n % entries.length])));
  });

it("keeps the greatest stamp of each key, in any order and any parts, and counts what it applied", async () => {
  await fc.assert(
    fc.asyncProperty(history, async (merges) => {
      const { committer, engine, log, foreign, read, hlc, merge } = mergeFixture();
      // These numbers were given out, so that what others bring as our own is not forged.
      for (let i = 0; i < COMMITS_MAX; i++) void committer.commit([], "memory");
      const model = new Map<string, Stamp>();
      for (const entries of merges) {
        const records = log.records.length;
        const result = await merge(
          entries.map(({ stamp, name }) =>
            foreign(stamp.origin, stamp.seq, hlc + stamp.hlc, name, writtenBy(stamp)),
          ),
        );
        const won = new Set<string>();
        for (const { stamp, name } of entries) {
          const stored = model.get(name);
          if (stored !== undefined && compareStamps(stamp, stored) <= 0) continue;
          model.set(name, stamp);
          won.add(name);
        }
        expect(result).toMatchObject(outcome(won.size, entries.length - won.size));
        expect(log.records.length - records).toBe(won.size === 0 ? 0 : 1);
        for (const name of won) {
          expect(engine.versionOf(engine.find(key(name), LATEST))).toBe(result.version);
        }
        for (const name of NAMES) {
          const stamp = model.get(name);
          expect(read(name)).toBe(stamp === undefined ? undefined : writtenBy(stamp));
        }
      }
    }),
  );
});

it("takes many entries at once, as one commit", async () => {
  const { foreign, merge, hlc, read, log } = mergeFixture();
  const pages = Array.from({ length: 600 }, (_, i) => foreign(PEER, i + 1, hlc, `k${i}`, "v"));
  expect(await merge([concatBytes(...pages)], covering(PEER, 600))).toMatchObject(outcome(600, 0));
  expect([log.records.length, read("k0"), read("k599")]).toEqual([1, "v", "v"]);
});

it("takes no page with an entry that is not well-formed", () => {
  const { committer, foreign, hlc, log, read } = mergeFixture();
  const page = concatBytes(foreign(PEER, 1, hlc, "a", "1"), foreign(PEER, 2, hlc, "b", "2"));
  expect(() => committer.merge([page.subarray(0, page.length - 1)], covering(PEER, 2))).toThrow(
    expect.objectContaining({ code: "INVARIANT" }),
  );
  expect([log.records.length, read("a")]).toEqual([0, undefined]);
});

it("asks for room for what wins, but not for the store's own data", () => {
  const { foreign, hlc } = mergeFixture();
  const own = Uint8Array.of(OWN_PREFIX, 1);
  const pages = [
    foreign(PEER, 1, hlc, "a", "1"),
    foreign(PEER, 2, hlc, "b", undefined),
    foreign(PEER, 3, hlc, "", "v", own),
  ];
  const keys = [key("a"), key("b"), own];
  const winners = pages.map((bytes, i) => ({ bytes, at: 0, length: bytes.length, key: keys[i] }));
  expect(roomForWinners({ winners, winnersBytes: 0, stale: 0, refused: [], hlc })).toEqual([
    { key: key("a"), entryBytes: pages[0].length, isDeletion: false },
    { key: key("b"), entryBytes: pages[1].length, isDeletion: true },
  ]);
});

describe("refuses", () => {
  it("a number with two times, in one merge, with all that it wrote", async () => {
    for (const turned of [false, true]) {
      const { foreign, merge, hlc, read } = mergeFixture();
      const pages = [foreign(PEER, 1, hlc, "a", "1"), foreign(PEER, 1, hlc + 1, "b", "2")];
      if (turned) pages.reverse();
      pages.push(foreign(PEER, 1, hlc, "c", "3"), foreign(PEER, 2, hlc, "d", "4"));
      expect(await merge(pages)).toMatchObject(outcome(1, 0, [1, "forged"]));
      expect(["a", "b", "c", "d"].map((name) => read(name))).toEqual([undefined, undefined, undefined, "4"]);
    }
  });

  it("a number that has another time, or wrote another value, in what is stored", async () => {
    const { foreign, merge, hlc, read } = mergeFixture();
    await merge([foreign(PEER, 1, hlc, "a", "1"), foreign(PEER, 2, hlc, "b", "2")]);
    expect(await merge([foreign(PEER, 1, hlc + 1, "c", "3")])).toMatchObject(outcome(0, 0, [1, "forged"]));
    expect(await merge([foreign(PEER, 1, hlc, "a", "4")])).toMatchObject(outcome(0, 0, [1, "forged"]));
    expect(await merge([foreign(PEER, 1, hlc, "a", undefined)])).toMatchObject(outcome(0, 0, [1, "forged"]));
    // The rest of a commit that came in parts is no forgery, nor is what comes twice.
    const rest = [foreign(PEER, 1, hlc, "c", "3"), foreign(PEER, 1, hlc, "a", "1")];
    expect(await merge(rest)).toMatchObject(outcome(1, 1));
    // Nor what another number wrote to the key.
    expect(await merge([foreign(PEER, 3, hlc - 1, "a", "0")])).toMatchObject(outcome(0, 1));
    expect([read("a"), read("b"), read("c")]).toEqual(["1", "2", "3"]);
  });

  it("as its own what it never wrote, and not what it did", async () => {
    const { committer, foreign, merge, hlc, read } = mergeFixture();
    const { stamp } = await committer.commit([setting("a", "1")], "memory");
    expect(await merge([foreign(OWN, 1, stamp.hlc, "lost", "1")])).toMatchObject(outcome(1, 0));
    expect(await merge([foreign(OWN, 2, hlc + 9, "b", "2")])).toMatchObject({
      refused: [{ origin: OWN, seq: 2, reason: "forged" }],
    });
    expect([read("a"), read("lost"), read("b")]).toEqual(["1", "1", undefined]);
  });

  it("what is stamped too far ahead of its clock and of all that it has seen", async () => {
    const { clock, foreign, merge, hlc, wall } = mergeFixture();
    const allowed = hlc + CLOCK_DRIFT_MS_MAX * HLC_TICKS_PER_MS;
    expect(await merge([foreign(PEER, 1, allowed, "a", "1")])).toMatchObject(outcome(1, 0));
    expect(await merge([foreign(PEER, 2, allowed + 2, "b", "2")])).toMatchObject(outcome(0, 0, [2, "ahead"]));
    // The clock goes back: what was seen before is no further ahead than what is stored.
    wall.ms -= 10 * CLOCK_DRIFT_MS_MAX;
    expect(clock.last).toBe(allowed);
    const pages = [foreign(PEER, 3, allowed, "c", "3"), foreign(PEER, 4, allowed + 1, "d", "4")];
    expect(await merge(pages)).toMatchObject(outcome(1, 0, [4, "ahead"]));
  });

  it("keys and values over the limits, and takes those that reach them", async () => {
    const keyBytesMax = key("four").length;
    const { foreign, merge, hlc, read } = mergeFixture({ limits: { keyBytesMax, valueBytesMax: 4 } });
    const pages = [
      foreign(PEER, 1, hlc, "four", "four"),
      foreign(PEER, 2, hlc, "five5", "4"),
      foreign(PEER, 3, hlc, "four", "five5"),
    ];
    expect(await merge(pages)).toMatchObject(outcome(1, 0, [2, "too-large"], [3, "too-large"]));
    expect(read("four")).toBe("four");
  });

  it("keys that no store writes, and takes those of namespaces and of the store itself", async () => {
    const { engine, foreign, merge, hlc } = mergeFixture();
    const inNamespace = concatBytes(namespacePrefix("n"), encodeKey("k", 4096));
    const keys = [
      inNamespace,
      Uint8Array.of(OWN_PREFIX, 1, 2, 3),
      // A namespace without a key of its own, and a string that is none.
      Uint8Array.of(inNamespace[0], 1),
      Uint8Array.of(0xc0),
    ];
    const pages = keys.map((bytes, i) => foreign(PEER, i + 1, hlc, "", "v", bytes));
    expect(await merge(pages)).toMatchObject(outcome(2, 0, [3, "damaged"], [4, "damaged"]));
    const present = keys.map((bytes) => engine.find(bytes, LATEST) !== NONE);
    expect(present).toEqual([true, true, false, false]);
  });
});

describe("coverage", () => {
  const holes = (upTo: number, ...pairs: [number, number][]): OriginCoverage => ({
    upTo,
    holes: pairs.map(([from, to]) => ({ from, to })),
  });
  const adding = (coverage: OriginCoverage, origin = PEER): Coverage => {
    const adds = new Coverage();
    adds.set(origin, coverage);
    return adds;
  };

  it("has a hole for each commit that was refused, until it is merged", async () => {
    const { committer, foreign, merge, hlc } = mergeFixture({ limits: { valueBytesMax: 4 } });
    const pages = [2, 3, 5].map((seq) => foreign(PEER, seq, hlc + seq, "a", "too long"));
    const refused = [2, 3, 5].map((seq): [number, string] => [seq, "too-large"]);
    expect(await merge(pages, adding(holes(6)))).toMatchObject(outcome(0, 0, ...refused));
    expect(committer.syncedCoverage.of(PEER)).toEqual(holes(6, [2, 3], [5, 5]));
    await merge([foreign(PEER, 3, hlc + 3, "a", "ok")], adding(holes(3, [1, 2])));
    expect(committer.syncedCoverage.of(PEER)).toEqual(holes(6, [2, 2], [5, 5]));
  });

  it("keeps what was covered, whatever is refused of it now", async () => {
    const { committer, foreign, merge, hlc } = mergeFixture({ limits: { valueBytesMax: 4 } });
    await merge([], adding(holes(3)));
    await merge([foreign(PEER, 2, hlc, "a", "too long")], adding(holes(4)));
    expect(committer.syncedCoverage.of(PEER)).toEqual(holes(4));
  });

  it("is logged when any of it changes, with what others had holes for, and else not", async () => {
    const { committer, log, merge } = mergeFixture();
    const steps: [OriginCoverage, OriginCoverage][] = [
      [holes(20, [2, 5], [8, 9], [12, 15]), holes(20, [2, 5], [8, 9], [12, 15])],
      [holes(20, [2, 16]), holes(20, [2, 5], [8, 9], [12, 15])],
      // From below, from above, in the middle, the whole of one.
      [holes(20, [3, 20]), holes(20, [3, 5], [8, 9], [12, 15])],
      [holes(5, [1, 4]), holes(20, [3, 4], [8, 9], [12, 15])],
      [holes(13, [1, 12]), holes(20, [3, 4], [8, 9], [12, 12], [14, 15])],
      [holes(9, [1, 7]), holes(20, [3, 4], [12, 12], [14, 15])],
      [holes(14, [1, 13]), holes(20, [3, 4], [12, 12], [15, 15])],
      [holes(21, [1, 20]), holes(21, [3, 4], [12, 12], [15, 15])],
      [holes(15, [1, 14]), holes(21, [3, 4], [12, 12])],
    ];
    let before = holes(0);
    for (const [adds, after] of steps) {
      const records = log.records.length;
      await merge([], adding(adds));
      expect(committer.syncedCoverage.of(PEER)).toEqual(after);
      const isSame = JSON.stringify(after) === JSON.stringify(before);
      expect(log.records.length - records).toBe(isSame ? 0 : 1);
      before = after;
    }
  });

  it("of what it wrote itself is nobody else's to tell", async () => {
    const { committer, log, merge } = mergeFixture();
    await merge([], adding(holes(7), OWN));
    expect([committer.syncedCoverage.of(OWN).upTo, log.records.length]).toEqual([0, 0]);
  });
});
