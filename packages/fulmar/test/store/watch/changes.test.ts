import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { textCodec } from "../../../src/codec/codec.js";
import { STORE_KEYS } from "../../../src/keys/space.js";
import {
  type EntryFields,
  EVICTED,
  entryBytes,
  HAS_DEADLINE,
  TOMBSTONE,
  writeEntry,
} from "../../../src/record/entry.js";
import { ChangeMaker } from "../../../src/store/watch/changes.js";
import { ListenerWatch } from "../../../src/store/watch/subscriber.js";

/** What a change takes besides its key and value. */
const CHANGE_BYTES = 128;
const origins = { id: (origin: number) => `origin ${origin}` };
const reader = { origins, codec: textCodec, space: STORE_KEYS } as ConstructorParameters<
  typeof ChangeMaker<string>
>[0];

/** The change that an entry is shown as. */
function changeOf(fields: Partial<EntryFields>, how: typeof reader = reader) {
  const key = STORE_KEYS.encode("name", 100);
  const base = { key, value: new Uint8Array(), flags: 0, deadline: 0, valueChecksum: 0 };
  const entry = { ...base, origin: 3, hlc: 7_000_000_000, seq: 5, ...fields };
  const bytes = new Uint8Array(9 + entryBytes(key.length, entry.value.length, entry.flags));
  writeEntry(bytes, 9, entry);
  return { ...new ChangeMaker(how).make(bytes, 9), bytes };
}

const stamp = { hlc: 7_000_000_000, origin: "origin 3", seq: 5 };

describe("a change", () => {
  test("has key, value and stamp of its entry, and takes the bytes of both and some of its own", () => {
    const { key, change, sizeBytes, bytes } = changeOf({ value: textCodec.encode("Ada") });
    expect(key).toEqual(STORE_KEYS.encode("name", 100));
    expect({ ...change }).toEqual({ type: "set", reason: "written", key: "name", value: "Ada", stamp });
    expect(sizeBytes).toBe(key.length + 3 + CHANGE_BYTES);
    bytes.fill(0);
    expect(change.value).toBe("Ada");
  });

  test("has its value in copies, in JSON, in clones and where it is printed", () => {
    const { change } = changeOf({ value: textCodec.encode("Ada") });
    const plain = { type: "set", key: "name", value: "Ada", stamp, reason: "written" };
    expect(change).toEqual(plain);
    expect(Object.keys(change)).toEqual(Object.keys(plain));
    expect([{ ...change }, Object.assign({}, change), structuredClone(change)]).toEqual([
      plain,
      plain,
      plain,
    ]);
    expect(JSON.stringify(change)).toBe(JSON.stringify(plain));
    expect(inspect([change])).toBe(inspect([plain]));
    const timed = changeOf({ flags: HAS_DEADLINE, deadline: 1_800_000_000_000 }).change;
    expect(inspect(timed)).toBe(inspect({ ...plain, value: "", expiresAt: 1_800_000_000_000 }));
  });

  test("decodes its value for each who looks, and for nobody else; one that cannot be decoded can be printed", () => {
    let looks = 0;
    const counts = () => `look ${++looks}`;
    const made = changeOf({}, { ...reader, codec: { ...textCodec, decode: counts } }).change;
    expect(looks).toBe(0);
    expect([made.value, { ...made }.value, made.value]).toEqual(["look 1", "look 2", "look 3"]);
    expect(() => Object.assign(made, { value: 1 })).toThrow(TypeError);
    const fails = () => {
      throw new Error("not text");
    };
    const broken = changeOf({}, { ...reader, codec: { ...textCodec, decode: fails } }).change;
    expect(() => broken.value).toThrow("not text");
    expect(inspect(broken)).toContain("not text");
  });

  test("that expires says when", () => {
    const { change } = changeOf({ flags: HAS_DEADLINE, deadline: 1_800_000_000_000 });
    expect(change).toMatchObject({ type: "set", expiresAt: 1_800_000_000_000, value: "" });
  });

  test("that takes a key away has no value, and says why", () => {
    const { key, change, sizeBytes } = changeOf({ flags: TOMBSTONE | EVICTED });
    const expected = { type: "delete", key: "name", value: undefined, reason: "evicted", stamp };
    expect(change).toEqual(expected);
    expect(sizeBytes).toBe(key.length + CHANGE_BYTES);
  });
});

test("a listener leaves when the store ends", () => {
  const left: unknown[] = [];
  const leave = (one: unknown): void => void left.push(one);
  const subscription = { ranges: [], changes: new ChangeMaker(reader), order: 1, leave };
  const watch = new ListenerWatch<string>(subscription, () => undefined, 0);
  expect(watch.isClosed).toBe(false);
  watch.end();
  expect([watch.isClosed, left]).toEqual([true, [watch]]);
});
