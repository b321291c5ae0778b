import { expect, test } from "vitest";
import { CheckpointCover } from "../../../src/durability/checkpoint-cover.js";
import { Prng } from "../../../src/testing/simulated/prng.js";

const encoder = new TextEncoder();
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

type Block = readonly [index: number, first: string, last: string];

function coverOf(blocks: readonly Block[], blockCount?: number): CheckpointCover {
  const cover = new CheckpointCover();
  for (const [index, first, last] of blocks) cover.add(index, encoder.encode(first), encoder.encode(last));
  if (blockCount !== undefined) cover.end(blockCount);
  return cover;
}

/** Which letters none of the lost blocks can have held. */
function lettersOf(cover: CheckpointCover): string {
  return [...LETTERS]
    .filter((letter) => {
      const bytes = encoder.encode(`..${letter}.`);
      return cover.has(bytes, 2, 3);
    })
    .join("");
}

test("nothing is lost where all blocks are there, up to the last", () => {
  const all = coverOf(
    [
      [0, "d", "f"],
      [1, "k", "m"],
    ],
    2,
  );
  expect([all.isComplete, lettersOf(all)]).toEqual([true, LETTERS]);
  const empty = coverOf([], 0);
  expect([empty.isComplete, lettersOf(empty)]).toEqual([true, LETTERS]);
});

test("nothing is known without any block, or of what is behind the last where nobody says how many there were", () => {
  for (const cover of [coverOf([]), coverOf([], 2)])
    expect([cover.isComplete, lettersOf(cover)]).toEqual([false, ""]);
  for (const count of [undefined, 3]) {
    const cover = coverOf(
      [
        [0, "d", "f"],
        [1, "k", "m"],
      ],
      count,
    );
    expect([cover.isComplete, lettersOf(cover)]).toEqual([false, "abcdefghijklm"]);
  }
});

test("a lost block can have held what is between its neighbours", () => {
  const first = coverOf([[1, "k", "m"]], 2);
  expect([first.isComplete, lettersOf(first)]).toEqual([false, "klmnopqrstuvwxyz"]);
  const middle = coverOf(
    [
      [0, "b", "d"],
      [2, "m", "o"],
      [3, "q", "s"],
      [5, "w", "w"],
    ],
    6,
  );
  expect([middle.isComplete, lettersOf(middle)]).toEqual([false, "abcdmnopqrswxyz"]);
});

test("nothing is believed of blocks that are out of order", () => {
  for (const blocks of [
    [
      [0, "k", "m"],
      [1, "d", "f"],
    ],
    [
      [0, "d", "f"],
      [1, "f", "g"],
    ],
  ] as const) {
    const cover = coverOf(blocks, 2);
    expect([cover.isComplete, lettersOf(cover)]).toEqual([false, ""]);
  }
});

test("a key that begins with another one is behind it", () => {
  const cover = coverOf([
    [1, "kk", "kkk"],
    [3, "m", "m"],
  ]);
  const has = (key: string): boolean => cover.has(encoder.encode(key), 0, key.length);
  expect(["k", "kk", "kka", "kkk", "kkkk", "l", "m", "ma"].map(has)).toEqual([
    false,
    true,
    true,
    true,
    false,
    false,
    true,
    false,
  ]);
});

test("whatever blocks are lost, what the others say is what a look at each of them says", () => {
  const random = new Prng(7);
  for (let round = 0; round < 300; round++) {
    const starts = [...LETTERS].filter(() => random.below(3) === 0);
    const blocks = starts.map((first, index): Block => {
      const behind = LETTERS.indexOf(starts[index + 1] ?? "z") - LETTERS.indexOf(first);
      return [index, first, LETTERS[LETTERS.indexOf(first) + random.below(Math.max(1, behind))]];
    });
    const left = blocks.filter(() => random.below(3) > 0);
    const expected = [...LETTERS].filter((letter) => {
      const before = blocks.findLast(([, first]) => first <= letter);
      const after = blocks.find(([, first]) => first > letter);
      const inside = before !== undefined && letter <= before[2];
      const beside = inside ? [before] : [before, after].filter((block) => block !== undefined);
      return beside.every((block) => left.includes(block));
    });
    const cover = coverOf(left, blocks.length);
    expect(lettersOf(cover), JSON.stringify([blocks, left])).toBe(expected.join(""));
    expect(cover.isComplete).toBe(left.length === blocks.length);
  }
});
