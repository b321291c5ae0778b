import { describe, expect, test } from "vitest";
import { HISTORY_REMEDY } from "../../../src/durability/files.js";
import { LogCursor } from "../../../src/durability/history-cursor.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { inspectSegment } from "../../../src/durability/segment-reader.js";
import { keyOf } from "../../../src/record/entry.js";
import { OriginTable } from "../../../src/record/origins.js";
import { createKeyring } from "../../../src/store/encryption.js";
import { forge, KEY, type Log, PATH, segmentOf } from "./segment-rig.js";

/** Shows version and first key of each commit to `see`. */
async function read({ storage, keys, ends }: Log, see: (version: number, key: string) => void) {
  const plain = storage.restart();
  const runtime = withKeyring(plain, createKeyring(plain, keys));
  const { header } = await inspectSegment(runtime, PATH, 1, undefined);
  const end = ends[ends.length - 1];
  const segment = { number: 1, path: PATH, base: 0, end, sizeBytes: end, keyId: undefined };
  const parts = {
    runtime,
    storeId: header?.storeId ?? "",
    origins: new OriginTable(),
    segments: () => [segment],
  };
  return new LogCursor(parts, 0, false).read(3, ({ version, bytes, at }) => {
    see(version, new TextDecoder().decode(keyOf(bytes, at)));
    return true;
  });
}

describe.each([
  ["plain", undefined],
  ["encrypted", KEY],
])("a history that is %s", (_, keys) => {
  test("is read with the keys of its files", async () => {
    const seen: unknown[] = [];
    const log = await segmentOf(["one", "two", "three"], keys);
    expect(await read(log, (...commit) => seen.push(commit))).toBe(3);
    expect(seen).toEqual([
      [1, "k1"],
      [2, "k2"],
      [3, "k3"],
    ]);
  });

  test.each([
    ["names another one before it", 32],
    ["is not what was written there", 44],
  ])("ends before a record that %s, though its checksums are right", async (_what, at) => {
    const log = await segmentOf(["one", "two", "three"], keys);
    const [, begin, end] = log.ends;
    await forge(log, begin, end, (bytes) => {
      bytes[begin + at] ^= 0x40;
    });
    const seen: number[] = [];
    await expect(read(log, (version) => seen.push(version))).rejects.toMatchObject({
      code: "CORRUPT",
      details: { file: PATH, offset: begin },
      message: expect.stringContaining(HISTORY_REMEDY),
    });
    expect(seen).toEqual([1]);
  });
});
