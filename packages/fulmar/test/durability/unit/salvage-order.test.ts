import { beforeEach, describe, expect, test } from "vitest";
import { readU32, writeU64 } from "../../../src/base/bytes.js";
import type { RepairedFile } from "../../../src/durability/care-types.js";
import { KEY_SECTION_BYTES } from "../../../src/durability/key-section.js";
import { leadingTo, type Segment } from "../../../src/durability/salvage-order.js";
import { MiniStore } from "../harness.js";
import {
  begin,
  build,
  bytesOf,
  damage,
  endsOf,
  keysOf,
  MISSING,
  put,
  remove,
  restate,
  restateHeader,
  SMALL,
  salvaged,
  segment,
  storage,
  whole,
} from "./salvage-rig.js";

/** Somewhere in the opening of a plain segment. */
const IN_OPENING = 68 + 50;

beforeEach(begin);

const flip =
  (at: number) =>
  (bytes: Uint8Array): void => {
    bytes[at] ^= 1;
  };
const noManifest = (): Promise<void> => damage("MANIFEST", (bytes) => bytes.fill(0));
const renumber = (name: string, number: number): Promise<void> =>
  restateHeader(name, (bytes) => writeU64(bytes, 16, number));

/** Gives segments, by their numbers, the names of others. */
async function rename(...moves: (readonly [from: number, to: number])[]): Promise<void> {
  const moved = moves.map(([from, to]) => ({ to, bytes: bytesOf(segment(from)) }));
  await remove(...moves.map(([from]) => segment(from)));
  for (const { to, bytes } of moved) await put(segment(to), bytes);
}

/** The keys, and what the report says of segments. */
async function logRead(): Promise<{ keys: string; files: readonly RepairedFile[] }> {
  const found = await salvaged();
  return { keys: keysOf(found), files: found.files.filter(({ kind }) => kind === "segment") };
}

/** A segment with one commit that has the name of another. */
const renamed = (number: number): RepairedFile => whole(number, 1);

describe.each([
  ["closed", false, () => Promise.resolve()],
  ["killed", true, () => Promise.resolve()],
  ["without a manifest", false, noManifest],
])("in a log that is %s", (_name, killed, lose) => {
  const ALL = { keys: "k1 k2 k3", files: [whole(1, 1), whole(2, 1), whole(3, 1)] };

  test.each([1, 2, 3])("segment %i is read in its place, whatever number its header says", async (number) => {
    for (const said of [0, 1, 2, 3, 4, 9]) {
      begin();
      await build({ segments: [1, 1, 1], killed });
      await renumber(segment(number), said);
      await lose();
      expect(await logRead(), `${said}`).toEqual(ALL);
    }
  });

  test("segments that were renamed are read in the order that they were written in", async () => {
    const swaps = [
      [1, 2],
      [1, 3],
      [2, 3],
    ].map(([a, b]) => [[a, b] as const, [b, a] as const]);
    const [up, down] = [1, 2].map((by) =>
      [1, 2, 3].map((from) => [from, ((from + by - 1) % 3) + 1] as const),
    );
    const away = [1, 2, 3].map((from) => [[from, 7] as const]);
    const all = [1, 2, 3].map((from) => [from, 9 - from] as const);
    for (const moves of [...swaps, up, down, ...away, all]) {
      begin();
      await build({ segments: [1, 1, 1], killed });
      await rename(...moves);
      await lose();
      const names = [1, 2, 3].map((number) => moves.find(([from]) => from === number)?.[1] ?? number);
      expect(await logRead(), JSON.stringify(moves)).toEqual({ keys: ALL.keys, files: names.map(renamed) });
    }
  });

  test("a segment with a damaged opening has the number in its name where no other one can be right", async () => {
    for (const said of [0, 3]) {
      begin();
      await build({ segments: [1, 1, 1], killed });
      await renumber(segment(2), said);
      await damage(segment(2), flip(IN_OPENING));
      await lose();
      const { keys, files } = await logRead();
      expect([keys, files.map(({ file }) => file)], `${said}`).toEqual([ALL.keys, [1, 2, 3].map(segment)]);
    }
  });
});

test("a segment has its place beside one with a damaged header, which tells nothing of its own", async () => {
  for (const [damaged, forged] of [
    [1, 2],
    [3, 1],
  ]) {
    begin();
    await build({ segments: [1, 1, 1], killed: true });
    await renumber(segment(forged), 9);
    await damage(segment(damaged), flip(20));
    const { keys, files } = await logRead();
    expect([keys, files.map(({ file }) => file)]).toEqual(["k1 k2 k3", [1, 2, 3].map(segment)]);
  }
});

test("the first segment is known by its header where nothing continues it", async () => {
  await build({ segments: [1], killed: true });
  await rename([1, 7]);
  expect(await logRead()).toEqual({ keys: "k1", files: [renamed(7)] });
});

test("a segment does not come to stand in the place of a missing one that is older", async () => {
  await build({ segments: [1, 1, 1] });
  await noManifest();
  await remove(segment(1));
  await renumber(segment(3), 1);
  expect(await logRead()).toEqual({ keys: "k2 k3", files: [whole(2, 1), whole(3, 1)] });
});

test("nor does it in that of one that is newer", async () => {
  await build({ segments: [1, 1, 1, 1] });
  await noManifest();
  await remove(segment(3));
  await renumber(segment(1), 3);
  const gap = { ...whole(3, 0), lost: [{ offset: 0, bytes: 0, what: MISSING }] };
  expect(await logRead()).toEqual({ keys: "k1 k2 k4", files: [gap, whole(1, 1), whole(2, 1), whole(4, 1)] });
});

test("a segment is not taken for the one that the manifest knows, where it begins behind what that held", async () => {
  await build({ segments: [1, 1], killed: true });
  const [, end] = endsOf(segment(1));
  const crc = readU32(bytesOf(segment(1)), end - 4);
  await restate((manifest) => ({ ...manifest, synced: { segment: 1, position: end, crc, version: 1 } }));
  await rename([1, 2], [2, 1]);
  expect(await logRead()).toEqual({ keys: "k1 k2", files: [renamed(2), renamed(1)] });
});

test("a segment behind an empty one, which begins where that does, is not taken for history", async () => {
  for (const number of [1, 2]) {
    await MiniStore.open(storage.restart(), SMALL);
    storage.kill();
    // Something torn behind the opening, so that the log goes on in another segment.
    await put(segment(number), Uint8Array.of(...bytesOf(segment(number)), 1));
  }
  const store = await MiniStore.open(storage.restart(), SMALL);
  await store.save("k1", "x");
  storage.kill();
  const all = { keys: "k1", files: [whole(1, 0), whole(2, 0), whole(3, 1)] };
  await renumber(segment(2), 9);
  expect(await logRead()).toEqual(all);
  await renumber(segment(2), 2);
  await renumber(segment(3), 0);
  expect(await logRead()).toEqual(all);
  await restate((manifest) => ({ ...manifest, firstSegment: 2 }));
  await remove(segment(1));
  await renumber(segment(3), 1);
  expect(await logRead()).toEqual({ keys: "k1", files: [whole(2, 0), whole(3, 1)] });
});

test("a sealed segment that nothing proves the header of has the number in its name", async () => {
  const keys = { key: new Uint8Array(32).fill(1) };
  await build({ segments: [1, 1, 1], keys });
  await remove(segment(2));
  // The segment that is missing would be free, and continued by the next one.
  await renumber(segment(1), 2);
  await damage(segment(1), flip(IN_OPENING + KEY_SECTION_BYTES));
  const found = await salvaged(keys);
  const gaps = found.files.filter(({ lost }) => lost.some(({ what }) => what === MISSING));
  expect([keysOf(found), gaps.map(({ file }) => file)]).toEqual(["k1 k3", [segment(2)]]);
});

test("nothing is history where the first segment is not the one that the manifest says", async () => {
  await build({ segments: [1, 1, 1] });
  const all = { keys: "k1 k2 k3", files: [whole(1, 1), whole(2, 1), whole(3, 1)] };
  await restate((manifest) => ({ ...manifest, firstSegment: 2 }));
  expect(await logRead()).toEqual(all);
  await restate((manifest) => ({ ...manifest, firstSegment: 9 }));
  const gap = { ...whole(9, 0), lost: [{ offset: 0, bytes: 0, what: MISSING }] };
  expect(await logRead()).toEqual({ ...all, files: [gap, ...all.files] });
});

test("a lone segment is read without a manifest, whatever number its header says", async () => {
  await build({ segments: [1] });
  await noManifest();
  for (const said of [0, 1, 9]) {
    await renumber(segment(1), said);
    expect(await logRead(), `${said}`).toEqual({ keys: "k1", files: [whole(1, 1)] });
  }
});

describe("what stands before the first segment of the live log", () => {
  test("is history, whatever can be read of it", async () => {
    await build({ segments: [1, 1, 1] });
    const checkpoint = { number: 0, version: 1, bytes: 0, crc: 0 };
    await restate((manifest) => ({ ...manifest, firstSegment: 2, checkpoint }));
    const live = { keys: "k2 k3", files: [whole(2, 1), whole(3, 1)] };
    expect(await logRead()).toEqual(live);
    for (const at of [IN_OPENING, 20]) {
      await damage(segment(1), flip(at));
      expect(await logRead(), `byte ${at}`).toEqual(live);
    }
  });

  test("is history where it holds nothing, and the live log begins at the same version", async () => {
    await MiniStore.open(storage.restart(), SMALL);
    storage.kill();
    await put(segment(1), Uint8Array.of(...bytesOf(segment(1)), 1));
    const store = await MiniStore.open(storage.restart(), SMALL);
    await store.save("k1", "x");
    storage.kill();
    await restate((manifest) => ({ ...manifest, firstSegment: 2 }));
    expect(await logRead()).toEqual({ keys: "k1", files: [whole(2, 1)] });
  });

  test("is of the live log, whatever its number, where it begins at a later version", async () => {
    await build({ segments: [1, 1, 1, 1], checkpoints: [3] });
    await rename([4, 1]);
    await renumber(segment(1), 1);
    expect(await logRead()).toEqual({ keys: "k1 k2 k3 k4", files: [whole(1, 1), whole(3, 0)] });
  });
});

test("a segment that was never used lacks nothing", async () => {
  await build({ segments: [1] });
  await put(segment(2), new Uint8Array(500));
  expect(await logRead()).toEqual({ keys: "k1", files: [whole(1, 1), whole(2, 0)] });
});

describe("the segments that lead up to one", () => {
  /** A segment that says which one it continues; undefined: its opening is damaged. */
  function follower(number: number, previousSegment: number | undefined): Segment {
    const path = segment(number);
    const rest = { base: 0, syncedThrough: 0, predecessorCrc: 0, previousEnd: 0, crc: 0 };
    const opening = previousSegment === undefined ? undefined : { ...rest, previousSegment };
    let asked = 0;
    return {
      number,
      named: number,
      path,
      get inspected() {
        if (++asked > 9) throw new Error("it would never come to an end");
        return { number, path, sizeBytes: 200, header: undefined, opening };
      },
    };
  }

  const led = (first: Segment, ...older: Segment[]): number[] =>
    leadingTo(first, older).map(({ number }) => number);

  test("are those that they say, whatever numbers nobody has between them", () => {
    expect(led(follower(7, 5), follower(2, 0), follower(3, 2), follower(5, 3))).toEqual([2, 3, 5]);
    expect(led(follower(7, 4), follower(3, 0), follower(5, 3))).toEqual([]);
  });

  test("are those of the numbers before their own where they do not say", () => {
    expect(led(follower(7, 6), follower(4, 0), follower(5, undefined), follower(6, undefined))).toEqual([
      4, 5, 6,
    ]);
    expect(led(follower(7, undefined), follower(5, 0))).toEqual([]);
  });

  test("come to an end, though one says that it continues itself, or a later one", () => {
    expect(led(follower(4, 3), follower(3, 3))).toEqual([3]);
    expect(led(follower(4, 3), follower(2, 3), follower(3, 2))).toEqual([2, 3]);
  });
});
