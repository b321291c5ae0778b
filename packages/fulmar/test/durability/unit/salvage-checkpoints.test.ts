import { beforeEach, describe, expect, test } from "vitest";
import { writeU64 } from "../../../src/base/bytes.js";
import { NUMBERS_MAX } from "../../../src/base/limits.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import { repairCheckpoint } from "../../fuzz/repair.js";
import { filesOf, MiniStore, ROOT } from "../harness.js";
import { manifestIn } from "./manifests.js";

import {
  begin,
  build,
  bytesOf,
  checkpoint,
  damage,
  keysOf,
  put,
  remove,
  restate,
  SMALL,
  salvaged,
  segment,
  storage,
  whole,
} from "./salvage-rig.js";

beforeEach(begin);

describe("the checkpoint", () => {
  test("that is missing is told of, with what it held at most", async () => {
    await build({ checkpoints: [2, 4] });
    await remove(checkpoint(2));
    const { bytes } = manifestIn(bytesOf("MANIFEST")).manifest.checkpoint;
    const { files } = await salvaged();
    expect(files[0]).toEqual({
      file: checkpoint(2),
      kind: "checkpoint",
      saved: 0,
      lost: [
        {
          offset: 0,
          bytes,
          what: "the file is missing: what was written up to its version and not later",
          versions: { from: 1, to: 4 },
        },
      ],
    });
  });

  test("is replaced by the newest other one if it is missing", async () => {
    await build({ segments: [3, 2, 1], checkpoints: [2] });
    const older = bytesOf(checkpoint(1));
    await put(checkpoint(3), older);
    await put(checkpoint(2), older.slice(0, 50));
    const found = await salvaged();
    expect(found.files.map(({ file }) => file)).toContain(checkpoint(1));
    await remove(checkpoint(1));
    const { files } = await salvaged();
    expect(files.filter(({ kind }) => kind === "checkpoint").map(({ file, saved }) => [file, saved])).toEqual(
      [
        [checkpoint(1), 0],
        [checkpoint(3), 2],
      ],
    );
  });

  test("is none where the manifest names none and the log has its beginning", async () => {
    await build({ checkpoints: [2] });
    await restate((manifest) => ({
      ...manifest,
      checkpoint: { number: 0, version: 0, bytes: 0, crc: 0 },
    }));
    const files = async (): Promise<string[]> => (await salvaged()).files.map(({ file }) => file);
    expect(await files()).not.toContain(checkpoint(1));
    expect(keysOf(await salvaged())).toBe("k1 k2 k3 k4 k5 k6");
    // Without its beginning there must have been one.
    await remove(segment(1));
    expect(await files()).toContain(checkpoint(1));
  });

  test("of which blocks are lost is completed from the log as far as that goes", async () => {
    await build({ checkpoints: [2] });
    await damage(checkpoint(1), (bytes) => {
      bytes[bytes.length - 60] ^= 1;
    });
    const found = await salvaged();
    expect(found.files[0]).toMatchObject({
      file: checkpoint(1),
      saved: 0,
      lost: [{ what: "block 0 of 2 entries" }],
    });
    expect(found.files.slice(1)).toEqual([whole(1, 3), whole(2, 2), whole(3, 1)]);
    expect([keysOf(found), found.sink.version]).toEqual(["k1 k2 k3 k4 k5 k6", 6]);
  });

  test("tells which version it is of, the manifest another, the lower of those that can be", async () => {
    await build({ checkpoints: [3], segments: [5] });
    const header = (version: number): Promise<void> =>
      damage(checkpoint(1), (bytes) => {
        writeU64(bytes, 64, version);
        repairCheckpoint(bytes);
      });
    const stated = (version: number): Promise<void> =>
      restate((manifest) => ({ ...manifest, checkpoint: { ...manifest.checkpoint, version } }));
    const told = async (): Promise<unknown> => {
      const { files, sink } = await salvaged();
      const lost = files[0].lost.map(({ offset, bytes, what }) => [
        offset,
        bytes,
        what.match(/\d+/g)?.join(" "),
      ]);
      return [files[0].saved, lost, files[1].saved, sink.version];
    };
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(4);
    expect(await told()).toEqual([3, [], 2, 5]);
    // Lower than an entry in it: that cannot be.
    await stated(2);
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(NUMBERS_MAX);
    expect(await told()).toEqual([3, [], 2, 5]);
    await stated(4);
    await header(1000);
    expect(await told()).toEqual([3, [[64, 8, "1000 4"]], 1, 5]);
    await stated(2);
    expect(await told()).toEqual([3, [], 0, 1000]);
    await header(2);
    // Where they agree they are believed.
    expect(await told()).toEqual([3, [], 3, 5]);
    await stated(1);
    expect(await told()).toEqual([3, [[64, 8, "2 3"]], 2, 5]);
    await header(NUMBERS_MAX);
    await stated(NUMBERS_MAX);
    expect(await told()).toEqual([3, [[64, 8, `${NUMBERS_MAX} 3`]], 2, 5]);
  });
});

describe("sealed files", () => {
  const keyed = (name: string): Encryption => ({
    current: name,
    getKey: (id: string) => new Uint8Array(32).fill(id.charCodeAt(0)),
  });

  test("tell which key the newest file has that tells", async () => {
    await build({ keys: keyed("z"), checkpoints: [2], segments: [2, 1] });
    expect((await salvaged(keyed("b"))).keyId).toBe("z");
    const runtime = storage.restart();
    const keyring = createKeyring(runtime, keyed("b"));
    const store = await MiniStore.open(withKeyring(runtime, keyring), SMALL);
    await store.directory.startSegment();
    await store.save("later", "x");
    await store.close();
    expect((await salvaged(keyed("q"))).keyId).toBe("b");
    for (const [path] of filesOf(storage, ".log")) await remove(path.slice(ROOT.length + 1));
    expect((await salvaged(keyed("q"))).keyId).toBe("z");
  });
});
