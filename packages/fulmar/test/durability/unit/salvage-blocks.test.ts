import { expect, test } from "vitest";
import { writeU32 } from "../../../src/base/bytes.js";
import type { LostPart } from "../../../src/durability/care-types.js";
import { pack } from "../../../src/durability/packing.js";
import { salvageCheckpoint } from "../../../src/durability/salvage-checkpoint.js";
import { keyOf, valueLengthOf, valueStart } from "../../../src/record/entry.js";
import { machine } from "../harness.js";
import { type Block, blockOf, checkpointOf, type Item, joined, payloadOf } from "./checkpoint-bytes.js";

/** Bytes of a block before its payload. */
const HEAD_BYTES = 16;
/** Where in an entry these stand. */
const VALUE_LENGTH_AT = 6;
const VALUE_CHECKSUM_AT = 10;
const MALFORMED = "entries that are malformed";

interface Saved {
  /** Key and value of each entry. */
  readonly entries: string[];
  readonly lost: readonly LostPart[];
  readonly starts: readonly number[];
  /** Whether nothing can be missing. */
  readonly isComplete: boolean;
}

/** What is saved of blocks whose checksums are all right. */
async function saved(...blocks: readonly Block[]): Promise<Saved> {
  const { bytes, starts } = checkpointOf(blocks);
  const { runtime } = machine();
  const handle = await runtime.fileSystem.open("/checkpoint", "create");
  await handle.write(bytes, 0);
  await handle.close();
  const entries: string[] = [];
  const decoder = new TextDecoder();
  const { lost, cover } = await salvageCheckpoint(runtime, "/checkpoint", (found, at) => {
    const value = valueStart(found, at);
    const text = decoder.decode(found.subarray(value, value + valueLengthOf(found, at)));
    entries.push(`${decoder.decode(keyOf(found, at))}=${text}`);
  });
  return { entries, lost, starts, isComplete: cover.isComplete };
}

const item = (key: string, value?: string): Item => ({ key, value });
const bytesOf = (...items: readonly Item[]): number => payloadOf(items).length;

/** A payload in which the value of an entry has another length than it was written with. */
function misread(items: readonly Item[], index: number, change: number): Uint8Array {
  const payload = payloadOf(items);
  const at = bytesOf(...items.slice(0, index)) + 8;
  writeU32(payload, at + VALUE_LENGTH_AT, (items[index].value ?? "").length + change);
  return payload;
}

test("a number of entries that is wrong costs none of them, and is told of", async () => {
  const items = [item("a", "1"), item("b"), item("c", "3")];
  for (const entryCount of [2, 4, 0]) {
    const { entries, lost, starts, isComplete } = await saved({ payload: payloadOf(items), entryCount });
    expect(entries, `${entryCount}`).toEqual(["a=1", "b=", "c=3"]);
    // Which of the two is wrong nobody can say.
    expect(isComplete).toBe(false);
    const what = `the number of its entries: it says ${entryCount}, and there are 3`;
    expect(lost).toEqual([{ offset: starts[0] + 4, bytes: 4, what }]);
  }
});

test("a value that is longer than it was does not take in the entries behind it", async () => {
  const items = [item("a", "1"), item("b", "2"), item("c", "3")];
  const payload = misread(items, 1, bytesOf(items[2]));
  const { entries, lost, starts } = await saved({ payload, entryCount: 3 }, blockOf(item("d", "4")));
  expect(entries).toEqual(["a=1", "d=4"]);
  const from = bytesOf(items[0]);
  expect(lost).toEqual([
    { offset: starts[0] + HEAD_BYTES + from, bytes: payload.length - from, what: MALFORMED },
  ]);
});

test("a value that is shorter than it was is not saved as if it were whole", async () => {
  const items = [item("a", "1"), item("b", "a longer value")];
  const { entries, lost } = await saved({ payload: misread(items, 1, -3), entryCount: 2 });
  expect(entries).toEqual(["a=1"]);
  expect(lost).toMatchObject([{ bytes: bytesOf(items[1]), what: MALFORMED }]);
});

test("a deletion with a wrong number of entries beside it is saved, whatever checksum it has", async () => {
  const payload = payloadOf([item("a"), item("b", "2")]);
  // That of what it deleted, as a store that keeps deletions for its peers has it.
  writeU32(payload, 8 + VALUE_CHECKSUM_AT, 12345);
  const { entries } = await saved({ payload, entryCount: 1 });
  expect(entries).toEqual(["a=", "b=2"]);
});

test("blocks that a wrong length made part of another one are found in it", async () => {
  const own = payloadOf([item("a", "1")]);
  const inner = checkpointOf([blockOf(item("b", "2")), blockOf(item("c", "3"))]);
  const part = inner.bytes.subarray(inner.starts[0], inner.starts[2]);
  const payload = joined([own, new Uint8Array(10), part]);
  const { entries, lost, starts } = await saved({ payload, entryCount: 1 }, blockOf(item("d", "4")));
  expect(entries).toEqual(["a=1", "b=2", "c=3", "d=4"]);
  const what = MALFORMED;
  expect(lost[0]).toEqual({ offset: starts[0] + HEAD_BYTES + own.length, bytes: 10, what });
});

test("a packed block keeps the entries before the first that is malformed", async () => {
  const items = [item("a", "x".repeat(500)), item("b", "y".repeat(500))];
  const plain = payloadOf(items);
  const cut = plain.slice(0, plain.length - 1);
  const payload = await pack(machine().runtime, cut);
  if (payload === undefined) throw new Error("it does not become shorter");
  const { entries, lost, starts } = await saved(
    { payload, entryCount: 2, packed: true },
    blockOf(item("d", "4")),
  );
  expect(entries.map((entry) => entry[0])).toEqual(["a", "d"]);
  // Where in the file they are nobody can say, but how many bytes they have.
  const from = bytesOf(items[0]);
  const offset = starts[0] + HEAD_BYTES + from;
  expect(lost).toEqual([{ offset, bytes: cut.length - from, what: MALFORMED }]);
});
