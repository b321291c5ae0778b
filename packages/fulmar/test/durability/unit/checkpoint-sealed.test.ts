import { describe, expect, test } from "vitest";
import {
  BLOCK_HEAD_BYTES,
  CHECKPOINT_HEADER_BYTES,
  FOOTER_BYTES,
} from "../../../src/durability/checkpoint-format.js";
import { NONCE_BYTES, SEAL_BYTES } from "../../../src/durability/file-seal.js";
import { KEY_SECTION_BYTES } from "../../../src/durability/key-section.js";
import { type DiskRuntime, Keyring, withKeyring } from "../../../src/durability/keyring.js";
import { machine } from "../harness.js";
import { entryOf } from "./checkpoint-bytes.js";
import { readBack, valued, write } from "./checkpoint-written.js";
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
    const value = "v".repeat((256 + 64) * KIB - before - 10);
    const runtime = sealing();
    const written = await write(runtime, [{ key: "k", value }]);
    expect((await readBack(runtime, written, 1)).contents).toEqual(new Map([["k", value]]));
  });
});
