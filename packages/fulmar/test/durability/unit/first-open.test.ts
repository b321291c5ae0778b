import { beforeEach, describe, expect, test } from "vitest";
import type { FileSystem, Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import {
  createStore,
  holdsStore,
  identityOf,
  makeRoot,
  newIdentity,
  syncAncestors,
} from "../../../src/durability/first-open.js";
import { withKeyring } from "../../../src/durability/keyring.js";
import { type Layout, layoutOf } from "../../../src/durability/layout.js";
import { MadeDirectories } from "../../../src/durability/made-directories.js";
import { NO_CHECKPOINT, readManifest } from "../../../src/durability/manifest.js";
import { inspectSegment } from "../../../src/durability/segment-reader.js";
import { createKeyring, type Encryption } from "../../../src/store/encryption.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { filesOf, MiniStore, machine } from "../harness.js";

let storage: SimulatedStorage;
let runtime: Runtime;
let fileSystem: FileSystem;
let layout: Layout;
let calls: string[];
let made: MadeDirectories;

beforeEach(() => {
  storage = machine();
  ({ runtime } = storage);
  ({ fileSystem } = runtime);
  made = new MadeDirectories(fileSystem);
  layout = layoutOf(fileSystem, "/a/b");
  calls = [];
  const looking = new Set(["status", "list", "read", "size", "open", "realPath"]);
  storage.disk.onOperation = ({ kind, path }, phase) => {
    if (phase === "before" && !looking.has(kind)) calls.push(`${kind} ${path}`);
  };
});

async function put(path: string, bytes: Uint8Array = new Uint8Array(0)): Promise<void> {
  const handle = await fileSystem.open(path, "create");
  await handle.write(bytes, 0);
  await handle.close();
}

describe("the directory of a store", () => {
  test("is made with those above it, if it is missing", async () => {
    expect(await makeRoot(runtime, "/a/b", made)).toBe("/a/b");
    expect(calls).toEqual(["makeDirectory /a/b"]);
    expect(await makeRoot(runtime, "/a/b", made)).toBe("/a/b");
    expect(calls).toHaveLength(1);
    expect(await makeRoot(runtime, "/a/c", made)).toBe("/a/c");
    expect(await makeRoot(runtime, "/", made)).toBe("/");
    expect(calls).toHaveLength(2);
  });

  test.each(["/file", "/file/b", "/file/b/c"])("is not made where a file is: %s", async (path) => {
    await put("/file");
    await expect(makeRoot(runtime, path, made)).rejects.toMatchObject({
      code: "PATH_UNUSABLE",
      details: { path },
    });
    expect(calls.filter((call) => call.startsWith("makeDirectory"))).toEqual([]);
  });

  test("is not made below a file either where a system says that nothing is there", async () => {
    await put("/file");
    const status: FileSystem["status"] = async (path) =>
      path.startsWith("/file/") ? undefined : fileSystem.status(path);
    const isNamed: FileSystem["isNamed"] = async (path) =>
      !path.startsWith("/file/") && fileSystem.isNamed(path);
    const unaware = { ...runtime, fileSystem: Object.assign(Object.create(fileSystem), { status, isNamed }) };
    await expect(makeRoot(unaware, "/file/b/c", made)).rejects.toMatchObject({
      code: "PATH_UNUSABLE",
      details: { path: "/file" },
    });
    expect(calls.filter((call) => call.startsWith("makeDirectory"))).toEqual([]);
  });

  test("is durable with every directory above it, up to those that may not be opened", async () => {
    await makeRoot(runtime, "/a/b/c", made);
    calls.length = 0;
    await syncAncestors(runtime, "/a/b/c");
    expect(calls).toEqual(["syncDirectory /a/b", "syncDirectory /a", "syncDirectory /"]);
    storage.disk.faults.add({ operations: ["syncDirectory"], nth: 2, code: "EACCES" });
    await syncAncestors(runtime, "/a/b/c");
    expect(calls.slice(3)).toEqual(["syncDirectory /a/b", "syncDirectory /a", "syncDirectory /"]);
    storage.disk.faults.add({ operations: ["syncDirectory"], code: "EIO" });
    await expect(syncAncestors(runtime, "/a/b/c")).rejects.toMatchObject({ code: "IO_ERROR" });
  });
});

describe("a directory holds a store", () => {
  beforeEach(async () => {
    await fileSystem.makeDirectory("/a/b");
  });

  test("when there is a manifest, whatever else there is", async () => {
    expect(await holdsStore(runtime, layout)).toBe(false);
    await put("/a/b/MANIFEST");
    await put("/a/b/thesis.txt");
    expect(await holdsStore(runtime, layout)).toBe(true);
  });

  test("that a repair was interrupted in is refused, with a manifest and without", async () => {
    await put(layout.repairing);
    const error = { code: "CORRUPT", details: { file: layout.repairing } };
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject(error);
    await put("/a/b/MANIFEST");
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject(error);
  });

  test("that was restored in part is refused", async () => {
    await put(layout.restoring);
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject({
      code: "NOT_A_STORE",
      message: expect.stringContaining("unfinished restore"),
      details: { directory: "/a/b" },
    });
    await put("/a/b/MANIFEST");
    expect(await holdsStore(runtime, layout)).toBe(true);
  });

  test.each([
    "thesis.txt",
    "log/000000000002.log",
    "log/thesis.txt",
    "checkpoint/000000000001",
    "checkpoint/x",
  ])("or something else: %s", async (name) => {
    await fileSystem.makeDirectory("/a/b/log");
    await fileSystem.makeDirectory("/a/b/checkpoint");
    expect(await holdsStore(runtime, layout)).toBe(false);
    await put(`/a/b/${name}`);
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject({
      code: "NOT_A_STORE",
      details: { directory: "/a/b" },
      message: expect.stringContaining(name),
    });
  });

  test.each(["log", "checkpoint"])("or a file called %s", async (name) => {
    await put(`/a/b/${name}`);
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject({
      code: "NOT_A_STORE",
      message: expect.stringContaining(`/a/b/${name} is not a directory`),
    });
  });

  test("or what an interrupted first opening leaves: one segment that no commit is in", async () => {
    await fileSystem.makeDirectory("/a/b/log");
    await fileSystem.makeDirectory("/a/b/checkpoint");
    for (const name of ["MANIFEST.tmp", "log/000000000001.log.tmp", "checkpoint/000000000001.tmp"])
      await put(`/a/b/${name}`, new Uint8Array(500));
    await put("/a/b/log/000000000001.log", new Uint8Array(128));
    expect(await holdsStore(runtime, layout)).toBe(false);
    await fileSystem.remove("/a/b/log/000000000001.log");
    await put("/a/b/log/000000000001.log", new Uint8Array(129));
    await expect(holdsStore(runtime, layout)).rejects.toMatchObject({ code: "NOT_A_STORE" });
  });
});

describe("a first segment that no commit is in, of an encrypted store", () => {
  const SEALED_BYTES = 68 + 104 + 60 + 28;

  async function firstSegment(encryption: Encryption | undefined): Promise<Uint8Array> {
    const other = machine();
    const keyring = createKeyring(other.runtime, encryption);
    const store = await MiniStore.open(withKeyring(other.runtime, keyring), {}, "/c");
    await store.save("a", "1");
    await store.close();
    return filesOf(other, ".log")[0][1];
  }

  async function isUnused(bytes: Uint8Array): Promise<boolean> {
    const path = "/a/b/log/000000000001.log";
    await fileSystem.makeDirectory("/a/b/log");
    await put(path, bytes);
    const refusal = await holdsStore(runtime, layout).catch((error: unknown) => error);
    await fileSystem.remove(path);
    if (refusal === false) return true;
    expect(refusal).toMatchObject({ code: "NOT_A_STORE", message: expect.stringContaining(path) });
    return false;
  }

  test("is longer by key section and seal", async () => {
    const sealed = await firstSegment({ key: new Uint8Array(32).fill(1) });
    expect(sealed.length).toBeGreaterThan(SEALED_BYTES);
    expect(await isUnused(sealed.slice(0, SEALED_BYTES))).toBe(true);
    expect(await isUnused(sealed.slice(0, SEALED_BYTES + 1))).toBe(false);
    expect(await isUnused(sealed)).toBe(false);
    sealed[17] ^= 1;
    expect(await isUnused(sealed.slice(0, SEALED_BYTES))).toBe(false);
  });

  test("is not taken for one of a plain store, which may hold a commit in as many bytes", async () => {
    const plain = await firstSegment(undefined);
    expect(plain.length).toBeLessThan(SEALED_BYTES);
    expect(await isUnused(plain)).toBe(false);
    expect(await isUnused(plain.slice(0, 128))).toBe(true);
    expect(await isUnused(plain.slice(0, 129))).toBe(false);
  });
});

describe("a store that is made", () => {
  test("has its first segment durably before the manifest that names it appears", async () => {
    await makeRoot(runtime, "/a/b", made);
    calls.length = 0;
    await createStore(runtime, layout);
    const segment = "/a/b/log/000000000001.log";
    expect(calls.filter((call) => !call.startsWith("close"))).toEqual([
      "makeDirectory /a/b/log",
      "makeDirectory /a/b/checkpoint",
      "syncDirectory /a/b/log",
      `create ${segment}.tmp`,
      `write ${segment}.tmp`,
      `sync ${segment}.tmp`,
      `rename ${segment}`,
      "syncDirectory /a/b/log",
      "syncDirectory /a/b",
      "create /a/b/MANIFEST.tmp",
      "write /a/b/MANIFEST.tmp",
      "sync /a/b/MANIFEST.tmp",
      "rename /a/b/MANIFEST",
      "syncDirectory /a/b",
    ]);
    expect(calls.filter((call) => call.startsWith("close"))).toHaveLength(2);
  });

  test("is empty, and says so in both slots", async () => {
    await makeRoot(runtime, "/a/b", made);
    await createStore(runtime, layout);
    const handle = await fileSystem.open(layout.manifest, "read");
    const { manifest } = await readManifest(nodeChecksum, handle);
    const { opening, header } = await inspectSegment(
      runtime,
      "/a/b/log/000000000001.log",
      1,
      manifest.storeId,
    );
    expect(opening).toMatchObject({
      base: 0,
      syncedThrough: 0,
      predecessorCrc: 0,
      previousSegment: 0,
      previousEnd: 0,
    });
    expect(header?.incarnation).toBe(manifest.incarnation);
    const identity = identityOf(runtime, (await fileSystem.status(layout.manifest))?.identity ?? "none");
    expect(manifest).toMatchObject({
      clean: true,
      hadPeers: false,
      identity,
      firstSegment: 1,
      checkpoint: NO_CHECKPOINT,
      synced: { segment: 1, position: 128, crc: opening?.crc, version: 0 },
      version: 0,
      seq: 0,
      hlc: 0,
    });
    expect(manifest.storeId).not.toBe(manifest.incarnation);
    const bytes = new Uint8Array(await handle.size());
    await handle.read(bytes, 0);
    await handle.close();
    const half = bytes.length / 2;
    for (const slot of [0, 1]) {
      const one = bytes.slice();
      one.fill(0, slot * half, (slot + 1) * half);
      await put(`/slot${slot}`, one);
      const only = await fileSystem.open(`/slot${slot}`, "read");
      // Both are newer than whatever they take the place of, the second the newest.
      expect(await readManifest(nodeChecksum, only)).toMatchObject({ manifest, generation: 2 - slot });
      await only.close();
    }
  });

  test("takes the place of the segment that an interrupted attempt left", async () => {
    await fileSystem.makeDirectory("/a/b/log");
    await put("/a/b/log/000000000001.log", new Uint8Array(128));
    const store = await MiniStore.open(runtime, {}, "/a/b");
    expect(store.directory.recovered).toMatchObject({ created: true, version: 0 });
    await store.close();
  });
});

test("identities are 16 bytes of chance, or the fingerprint of a file", () => {
  expect(newIdentity(runtime)).toMatch(/^[0-9a-f]{32}$/);
  expect(newIdentity(runtime)).not.toBe(newIdentity(runtime));
  expect(identityOf(runtime, "a")).toMatch(/^[0-9a-f]{64}$/);
  expect(identityOf(runtime, "a")).not.toBe(identityOf(runtime, "b"));
});
