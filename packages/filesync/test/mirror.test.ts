import { writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { compareTrees } from "../src/compare.js";
import { chunkKey, fileKey, writeOfKey } from "../src/model.js";
import {
  type BytesStore,
  converge,
  memoryStore,
  mirrorNode,
  type Node,
  stagingLeftovers,
  temporaryDirectory,
} from "./harness.js";
import { putFile } from "./store-files.js";

const SIZES = { chunkBytes: 1000, atomicBytesMax: 10_000, batchBytes: 4000 };

async function pair(): Promise<{ store: BytesStore; a: Node; b: Node }> {
  const store = await memoryStore();
  const a = await mirrorNode(store, { sizes: SIZES });
  const b = await mirrorNode(store, { sizes: SIZES });
  return { store, a, b };
}

async function expectEqual(...nodes: Node[]): Promise<void> {
  expect((await compareTrees(nodes.map(({ directory }) => directory))).differences).toEqual([]);
  for (const { directory, mirror } of nodes) {
    expect(mirror.status()).toMatchObject({ idle: true, errors: 0, lastError: undefined });
    expect(await stagingLeftovers(directory)).toEqual([]);
  }
}

function chunksIn(store: BytesStore): number {
  return store.count({ prefix: ["chunk"] });
}

function random(bytes: number, seed = 1): Uint8Array {
  let state = seed;
  const next = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state >>> 16;
  };
  return Uint8Array.from({ length: bytes }, next);
}

test("a tree appears in the other directory: nested, binary, empty, large, with modes", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "d/e/f"), { recursive: true });
  await mkdir(join(a.directory, "empty directory"));
  await writeFile(join(a.directory, "d/e/f/text ü 🐦.txt"), "hello");
  await writeFile(join(a.directory, "d/nothing"), "");
  await writeFile(join(a.directory, "d/binary"), random(3500));
  await writeFile(join(a.directory, "exactly"), random(2000));
  await writeFile(join(a.directory, "large"), random(25_500));
  await writeFile(join(a.directory, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  await chmod(join(a.directory, "d/e"), 0o750);
  await converge(store, a, b);
  await expectEqual(a, b);
  expect((await stat(join(b.directory, "run.sh"))).mode & 0o777).toBe(0o755);
  expect((await stat(join(b.directory, "d/e"))).mode & 0o777).toBe(0o750);
  expect(b.mirror.status()).toMatchObject({ files: 6, directories: 4, conflicts: 0 });
  expect(chunksIn(store)).toBe(1 + 0 + 4 + 2 + 26 + 1);
});

test("changes, deletions and renames go both ways and leave no chunk behind", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "d"));
  for (const name of ["d/one", "d/two", "three"])
    await writeFile(join(a.directory, name), random(2500, name.length));
  await converge(store, a, b);
  await writeFile(join(b.directory, "d/one"), random(1500, 9));
  await rm(join(b.directory, "d/two"));
  await rename(join(b.directory, "three"), join(b.directory, "four"));
  await chmod(join(b.directory, "four"), 0o600);
  await converge(store, a, b);
  await expectEqual(a, b);
  expect((await readdir(a.directory)).sort()).toEqual([".fulmar", "d", "four"]);
  expect(await readdir(join(a.directory, "d"))).toEqual(["one"]);
  expect(chunksIn(store)).toBe(2 + 3);
  await rm(join(a.directory, "d"), { recursive: true });
  await rm(join(a.directory, "four"));
  await converge(store, a, b);
  expect(await readdir(b.directory)).toEqual([".fulmar"]);
  expect([chunksIn(store), store.count({ prefix: ["file"] })]).toEqual([0, 0]);
});

test("a renamed directory takes everything along", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "old/deep/er"), { recursive: true });
  for (let i = 0; i < 20; i++) await writeFile(join(a.directory, `old/deep/er/${i}`), `${i}`);
  await converge(store, a, b);
  await rename(join(b.directory, "old"), join(b.directory, "new"));
  await converge(store, a, b);
  await expectEqual(a, b);
  expect((await readdir(a.directory)).sort()).toEqual([".fulmar", "new"]);
});

test("a file becomes a directory, and a directory a file", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "x"));
  await writeFile(join(a.directory, "x/in"), "in");
  await writeFile(join(a.directory, "y"), "y");
  await converge(store, a, b);
  await rm(join(a.directory, "x"), { recursive: true });
  await writeFile(join(a.directory, "x"), "now a file");
  await rm(join(a.directory, "y"));
  await mkdir(join(a.directory, "y"));
  await writeFile(join(a.directory, "y/in"), "in");
  await converge(store, a, b);
  await expectEqual(a, b);
  expect(await readFile(join(b.directory, "x"), "utf8")).toBe("now a file");
  expect(await readFile(join(b.directory, "y/in"), "utf8")).toBe("in");
});

test("equal trees on both sides are not written a second time", async () => {
  const store = await memoryStore();
  const directories = [await temporaryDirectory(), await temporaryDirectory()];
  for (const directory of directories) {
    await mkdir(join(directory, "d"));
    await writeFile(join(directory, "d/f"), random(2500));
    await writeFile(join(directory, "large"), random(15_000));
  }
  const a = await mirrorNode(store, { directory: directories[0] as string, sizes: SIZES });
  await converge(store, a);
  const before = store.version;
  const b = await mirrorNode(store, { directory: directories[1] as string, sizes: SIZES });
  await converge(store, a, b);
  expect(store.version).toBe(before);
  expect(b.mirror.status()).toMatchObject({ uploaded: 0, downloaded: 0, files: 2, conflicts: 0 });
});

test("touching a file writes nothing", async () => {
  const { store, a, b } = await pair();
  await writeFile(join(a.directory, "f"), "content");
  await converge(store, a, b);
  const before = store.version;
  await utimes(join(a.directory, "f"), 1_000, 1_000);
  await converge(store, a, b);
  expect(store.version).toBe(before);
});

test("T-FILESYNC-LOCAL-EDIT: a local edit that was not taken in yet is not overwritten but wins", async () => {
  const { store, a, b } = await pair();
  await writeFile(join(a.directory, "f"), "first");
  await converge(store, a, b);
  // b's user saves; before b's mirror sees it, a's newer version arrives.
  await writeFile(join(b.directory, "f"), "edited at b");
  await writeFile(join(a.directory, "f"), "edited at a");
  await a.mirror.rescan();
  await b.mirror.settled();
  await converge(store, a, b);
  await expectEqual(a, b);
  expect(await readFile(join(a.directory, "f"), "utf8")).toBe("edited at b");
  expect(b.mirror.status().conflicts).toBeGreaterThan(0);
  expect(chunksIn(store)).toBe(1);
});

test("T-FILESYNC-LOCAL-EDIT: a local edit survives a deletion elsewhere", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "d"));
  await writeFile(join(a.directory, "d/f"), "first");
  await converge(store, a, b);
  await writeFile(join(b.directory, "d/f"), "edited at b");
  await rm(join(a.directory, "d"), { recursive: true });
  await a.mirror.rescan();
  await converge(store, a, b);
  await expectEqual(a, b);
  expect(await readFile(join(a.directory, "d/f"), "utf8")).toBe("edited at b");
});

test("T-FILESYNC-LOCAL-EDIT: an edit while the received file is being put together is kept", async () => {
  const store = await memoryStore();
  const a = await mirrorNode(store);
  await putFile(store, "f", "first");
  await converge(store, a);
  const read = store.get.bind(store);
  const spy = vi.spyOn(store, "get").mockImplementation((key) => {
    if (writeOfKey(key) !== undefined) writeFileSync(join(a.directory, "f"), "edited meanwhile");
    return read(key);
  });
  await putFile(store, "f", "second");
  await a.mirror.settled();
  spy.mockRestore();
  await converge(store, a);
  expect(await readFile(join(a.directory, "f"), "utf8")).toBe("edited meanwhile");
  expect(a.mirror.status()).toMatchObject({ uploaded: 1, conflicts: 1 });
});

test("a new local file where another one arrives: neither side keeps a mixture, the later write wins", async () => {
  const { store, a, b } = await pair();
  await writeFile(join(b.directory, "f"), "b was first on its own disk");
  await writeFile(join(a.directory, "f"), "a");
  await a.mirror.rescan();
  await converge(store, a, b);
  await expectEqual(a, b);
  expect(await readFile(join(a.directory, "f"), "utf8")).toBe("b was first on its own disk");
});

test("a directory that cannot go, because of something that is not mirrored in it, comes back", async () => {
  const { store, a, b } = await pair();
  await mkdir(join(a.directory, "d"));
  await writeFile(join(a.directory, "d/f"), "f");
  await converge(store, a, b);
  await writeFile(join(b.directory, "d/bad\\name"), "kept");
  await rm(join(a.directory, "d"), { recursive: true });
  await converge(store, a, b);
  for (let i = 0; i < 3; i++) await converge(store, a, b);
  await expectEqual(a, b);
  expect(await readdir(join(a.directory, "d"))).toEqual([]);
  expect(await readdir(join(b.directory, "d"))).toEqual(["bad\\name"]);
});

test.each([
  ["the node that has the file is there", true],
  ["only the node that has the directory is left", false],
])(
  "a file in the store where others have put things into a directory moves aside: %s",
  async (_name, both) => {
    const { store, a, b } = await pair();
    await mkdir(join(a.directory, "x"));
    await converge(store, a, b);
    await rm(join(a.directory, "x"), { recursive: true });
    await writeFile(join(a.directory, "x"), "the file");
    await writeFile(join(b.directory, "x/in"), "in");
    await b.mirror.rescan();
    await a.mirror.rescan();
    if (!both) await a.mirror.close();
    const rest = both ? [a, b] : [b];
    for (let i = 0; i < 4; i++) await converge(store, ...rest);
    await converge(store, ...rest);
    if (both) await expectEqual(a, b);
    const [aside] = (await readdir(b.directory)).filter((name) => name.startsWith("x (conflict"));
    expect(await readFile(join(b.directory, aside as string), "utf8")).toBe("the file");
    expect(await readFile(join(b.directory, "x/in"), "utf8")).toBe("in");
    expect(b.mirror.status().blocked).toBe(0);
  },
);

test("memory is bounded by batches: a large file is several commits, its metadata the last", async () => {
  const { store, a, b } = await pair();
  const seen: string[] = [];
  const watch = store.watch({}, ({ changes }) => {
    seen.push(changes.map(({ key }) => (key as string[])[0]).join(","));
  });
  await writeFile(join(a.directory, "large"), random(10_001));
  await converge(store, a, b);
  watch.close();
  await expectEqual(a, b);
  expect(seen).toEqual(["chunk,chunk,chunk,chunk", "chunk,chunk,chunk,chunk", "chunk,chunk,chunk", "file"]);
  await writeFile(join(a.directory, "large"), random(10_001, 5));
  await converge(store, a, b);
  await expectEqual(a, b);
  expect(chunksIn(store)).toBe(11);
});

test("a file on the limit is one commit", async () => {
  const { store, a } = await pair();
  let commits = 0;
  const watch = store.watch({}, () => commits++);
  await writeFile(join(a.directory, "f"), random(10_000));
  await converge(store, a);
  watch.close();
  expect(commits).toBe(1);
  expect(store.has(fileKey("f"))).toBe(true);
  expect(store.has(chunkKey("x", 0))).toBe(false);
});
