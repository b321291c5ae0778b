import { describe, expect, test } from "vitest";
import { readU32, writeU32 } from "../../../src/base/bytes.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  BLOCK_HEAD_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
} from "../../../src/durability/checkpoint-format.js";
import { NONCE_BYTES, SEAL_BYTES } from "../../../src/durability/file-seal.js";
import { KEY_SECTION_BYTES } from "../../../src/durability/key-section.js";
import { type DiskRuntime, Keyring, withKeyring } from "../../../src/durability/keyring.js";
import { Coverage } from "../../../src/record/coverage.js";
import { machine } from "../harness.js";
import { entryOf, IDS } from "./checkpoint-bytes.js";
import { PATH, readBack, replaceFile, valued, write } from "./checkpoint-written.js";
import { steady } from "./steady.js";

const KIB = 1024;
const KEY = new Uint8Array(32).fill(1);

function sealing(): DiskRuntime {
  const { runtime } = steady(machine().runtime);
  const keyring = new Keyring(runtime, {
    current: "one",
    refusesPlain: true,
    asFound: false,
    key: (id) => (id === "one" ? KEY : undefined),
    erase: () => undefined,
  });
  return withKeyring(runtime, keyring);
}

const holds = (file: Uint8Array, text: string): boolean => Buffer.from(file).includes(text);

describe("a checkpoint that is encrypted", () => {
  test.each([false, true])(
    "is what is read back, and shows nothing of it (compressed: %s)",
    async (compressed) => {
      const runtime = sealing();
      const items = valued(900, 1000);
      const written = await write(runtime, items, { compressed });
      const back = await readBack(runtime, written, items.length);
      expect(back.contents).toEqual(new Map(items.map(({ key, value }) => [key, value])));
      expect([back.entries, written.bytes]).toEqual([900, written.file.length]);
      for (const shown of ["vvvv", "k1000"]) expect(holds(written.file, shown)).toBe(false);
    },
  );

  test("has a seal before its footer, and a key section in its head", async () => {
    const { writes, bytes } = await write(sealing(), []);
    expect(writes.slice(1)).toEqual([SEAL_BYTES, FOOTER_BYTES]);
    expect(bytes).toBe(writes.reduce((sum, length) => sum + length, 0));
    expect(writes[0]).toBeGreaterThan(CHECKPOINT_HEADER_BYTES + KEY_SECTION_BYTES);
  });

  test("takes memory for what sealing adds", async () => {
    const before = BLOCK_HEAD_BYTES + NONCE_BYTES + 8 + entryOf({ key: "k", value: "" }).length;
    // The entry ends ten bytes before the least memory does: too few for the tag.
    const leastBytes = (1024 + 64) * KIB;
    const value = "v".repeat(leastBytes - before - 10);
    const runtime = sealing();
    const written = await write(runtime, [{ key: "k", value }]);
    expect(written.memory[1]).toBeGreaterThan(leastBytes);
    expect((await readBack(runtime, written, 1)).contents).toEqual(new Map([["k", value]]));
  });

  const corrupt = (offset: number) => ({ code: "CORRUPT", details: { file: PATH, offset } });

  test("tells its key, and how many deletions it holds", async () => {
    const runtime = sealing();
    const items = [...valued(3, 10), { key: "k1000" }, { key: "k1001" }];
    const written = await write(runtime, items, { hadPeers: true });
    expect((await readBack(runtime, written, 5)).read).toMatchObject({
      entries: 3,
      tombstones: 2,
      keyId: "one",
    });
  });

  test("is damaged when its key section, its dictionary or the seal of its footer is another one", async () => {
    const runtime = sealing();
    const written = await write(runtime, valued(3, 10));
    const { file } = written;
    const dictionary = CHECKPOINT_HEADER_BYTES + KEY_SECTION_BYTES;
    const footer = file.length - FOOTER_BYTES;
    for (const [at, offset] of [
      [CHECKPOINT_HEADER_BYTES + 1, CHECKPOINT_HEADER_BYTES],
      [dictionary + 1, dictionary],
      [footer - 1, footer],
      [footer - SEAL_BYTES, footer],
    ]) {
      const changed = file.slice();
      changed[at] ^= 1;
      await replaceFile(runtime, changed);
      await expect(readBack(runtime, written, 3), `byte ${at}`).rejects.toMatchObject(corrupt(offset));
    }
  });

  test("holds its origins and what they have covered", async () => {
    const runtime = sealing();
    const coverage = new Coverage();
    coverage.set(IDS[1], { upTo: 9, holes: [{ from: 2, to: 3 }] });
    const back = await readBack(runtime, await write(runtime, valued(3, 10), { coverage }), 3);
    expect([1, 2].map((number) => back.origins.id(number))).toEqual(IDS);
    expect([...back.found.coverage.origins()]).toEqual([...coverage.origins()]);
  });

  test("is damaged when its dictionary is not what was sealed, though its checksum is right", async () => {
    const runtime = sealing();
    const written = await write(runtime, valued(3, 10));
    const file = written.file.slice();
    const dictionary = CHECKPOINT_HEADER_BYTES + KEY_SECTION_BYTES;
    const end = written.writes[0] - 4;
    file[end - 1] ^= 1;
    writeU32(file, end, nodeChecksum.crc32(file, dictionary, end, readU32(file, 104)));
    await replaceFile(runtime, file);
    await expect(readBack(runtime, written, 3)).rejects.toMatchObject(corrupt(dictionary));
  });

  test("is damaged when a block is not what was sealed there, though its checksum is right", async () => {
    const runtime = sealing();
    const written = await write(runtime, valued(3, 10));
    const file = written.file.slice();
    const [at] = written.writes;
    const end = at + BLOCK_HEAD_BYTES + readU32(file, at);
    file[end - 1] ^= 1;
    writeU32(file, end, nodeChecksum.crc32(file, at + BLOCK_HEAD_BYTES, end, readU32(file, at + 12)));
    await replaceFile(runtime, file);
    await expect(readBack(runtime, written, 3)).rejects.toMatchObject(corrupt(at));
  });

  test("is what a store wants that refuses plain ones", async () => {
    const runtime = sealing();
    const written = await write({ ...runtime, keyring: undefined }, valued(3, 10));
    await expect(readBack(runtime, written, 3)).rejects.toMatchObject({ code: "NOT_ENCRYPTED" });
  });
});
