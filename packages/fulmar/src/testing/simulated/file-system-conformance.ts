import { equalBytes } from "../../base/bytes.js";
import { codeOf } from "../../base/errors.js";
import type { FileHandle, FileSystem } from "../../base/runtime/interface.js";

/** One promise of {@link FileSystem}; `run` throws when it is broken. `directory` exists and is empty. */
export interface FileSystemCase {
  readonly name: string;
  run(fs: FileSystem, directory: string): Promise<void>;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`file system conformance: ${what}`);
}

async function expectCode(promise: Promise<unknown>, ...codes: string[]): Promise<void> {
  let code: string | undefined = "success";
  try {
    await promise;
  } catch (error) {
    code = codeOf(error);
  }
  expect(codes.includes(code ?? "no code"), `expected ${codes.join(" or ")}, got ${code}`);
}

/** Writes all of `content`, however short the single writes are. */
async function writeAll(file: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length; )
    done += await file.write(content.subarray(done), position + done);
}

async function makeFile(fs: FileSystem, path: string, content: string): Promise<void> {
  const file = await fs.open(path, "create");
  await writeAll(file, text(content), 0);
  await file.close();
}

async function expectContent(fs: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const file = await fs.open(path, "read");
  const target = new Uint8Array(content.length + 1);
  const count = await file.read(target, 0);
  await file.close();
  expect(equalBytes(target.subarray(0, count), content), `${path} holds what was written`);
}

const contentCases: readonly FileSystemCase[] = [
  {
    name: "reads back what was written, in line and off the loop",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      const file = await fs.open(path, "create");
      expect(file.path === path, "a handle knows its path");
      expect(file.writeNow(text("hello"), 0) === 5, "a small write is whole");
      await writeAll(file, text(" world"), 5);
      expect((await file.size()) === 11, "the size counts both writes");
      file.syncDataNow();
      await file.syncData();
      await file.close();
      await expectContent(fs, path, text("hello world"));
    },
  },
  {
    name: "reads fewer bytes at the end and none beyond it",
    async run(fs, directory) {
      await makeFile(fs, fs.join(directory, "a"), "abcdef");
      const file = await fs.open(fs.join(directory, "a"), "read");
      const target = new Uint8Array(4);
      expect((await file.read(target, 4)) === 2 && target[0] === 101, "two bytes are left at 4");
      expect((await file.read(target, 6)) === 0, "nothing at the end");
      expect((await file.read(target, 60)) === 0, "nothing beyond it");
      await file.close();
    },
  },
  {
    name: "fills a gap with zeros",
    async run(fs, directory) {
      const file = await fs.open(fs.join(directory, "a"), "create");
      await writeAll(file, text("end"), 9000);
      await file.close();
      const whole = new Uint8Array(9003);
      whole.set(text("end"), 9000);
      await expectContent(fs, fs.join(directory, "a"), whole);
    },
  },
  {
    name: "shrinks and grows; what a shrink cut off comes back as zeros",
    async run(fs, directory) {
      const file = await fs.open(fs.join(directory, "a"), "create");
      await writeAll(file, text("abcdef"), 0);
      await file.truncate(2);
      expect((await file.size()) === 2, "a shrink counts at once");
      await file.truncate(5);
      await file.close();
      await expectContent(fs, fs.join(directory, "a"), text("ab\0\0\0"));
    },
  },
  {
    name: "shows space that was only reserved as zeros, around what is written into it",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      const file = await fs.open(path, "create");
      await file.truncate(20_000);
      expect((await file.size()) === 20_000, "reserved space counts");
      await writeAll(file, text("mid"), 8190);
      await file.syncData();
      await file.close();
      const whole = new Uint8Array(20_000);
      whole.set(text("mid"), 8190);
      await expectContent(fs, path, whole);
    },
  },
  {
    name: "takes writes that nobody awaits in between, and has them all after the last",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      const file = await fs.open(path, "create");
      const parts = ["one", "two", "six", "ten"];
      const lengths = await Promise.all(parts.map((part, i) => file.write(text(part), 3 * i)));
      expect(
        lengths.every((length) => length === 3),
        "small writes are whole",
      );
      await file.syncData();
      await file.close();
      await expectContent(fs, path, text(parts.join("")));
    },
  },
  {
    name: "syncs through a handle that only reads, and a directory by its path",
    async run(fs, directory) {
      await makeFile(fs, fs.join(directory, "a"), "x");
      const file = await fs.open(fs.join(directory, "a"), "read");
      await file.syncData();
      file.syncDataNow();
      await file.close();
      await fs.syncDirectory(directory);
      await expectCode(fs.syncDirectory(fs.join(directory, "none")), "ENOENT");
    },
  },
  {
    name: "shows one handle what another wrote",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      const writer = await fs.open(path, "create");
      const reader = await fs.open(path, "read");
      await writeAll(writer, text("xyz"), 0);
      const target = new Uint8Array(3);
      expect((await reader.read(target, 0)) === 3 && equalBytes(target, text("xyz")), "the reader sees it");
      await writer.close();
      await reader.close();
    },
  },
  {
    name: "keeps a removed file readable through an open handle",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      await makeFile(fs, path, "still");
      const file = await fs.open(path, "read");
      await fs.remove(path);
      const target = new Uint8Array(5);
      expect((await file.read(target, 0)) === 5 && equalBytes(target, text("still")), "the bytes are there");
      await file.close();
      expect((await fs.status(path)) === undefined, "the name is not");
    },
  },
];

const handleCases: readonly FileSystemCase[] = [
  {
    name: "creates only what does not exist and opens only what does",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      await expectCode(fs.open(path, "read"), "ENOENT");
      await expectCode(fs.open(path, "update"), "ENOENT");
      await makeFile(fs, path, "1");
      await expectCode(fs.open(path, "create"), "EEXIST");
      const file = await fs.open(path, "update");
      await writeAll(file, text("2"), 0);
      await file.close();
      await expectContent(fs, path, text("2"));
      await expectCode(fs.open(fs.join(directory, "none/a"), "create"), "ENOENT");
      await expectCode(fs.open(fs.join(path, "below"), "create"), "ENOTDIR");
      await expectCode(fs.open(directory, "update"), "EISDIR");
    },
  },
  {
    name: "refuses to write through a reader",
    async run(fs, directory) {
      await makeFile(fs, fs.join(directory, "a"), "1");
      const file = await fs.open(fs.join(directory, "a"), "read");
      await expectCode(file.write(text("2"), 0), "EBADF", "EPERM");
      await file.close();
      await expectContent(fs, fs.join(directory, "a"), text("1"));
    },
  },
  {
    name: "refuses every use of a closed handle but a second close",
    async run(fs, directory) {
      const file = await fs.open(fs.join(directory, "a"), "create");
      await file.close();
      await file.close();
      await expectCode(file.write(text("2"), 0), "EBADF");
      await expectCode(file.read(new Uint8Array(1), 0), "EBADF");
      await expectCode(file.size(), "EBADF");
      await expectCode(file.truncate(0), "EBADF");
      await expectCode(file.syncData(), "EBADF");
      await expectCode(file.status(), "EBADF");
    },
  },
  {
    name: "tells of an open file what it tells of its name, and goes on when the name is another's or nobody's",
    async run(fs, directory) {
      const [path, moved] = [fs.join(directory, "a"), fs.join(directory, "b")];
      const file = await fs.open(path, "create");
      await writeAll(file, text("12345"), 0);
      const status = await file.status();
      expect(status.kind === "file" && status.sizeBytes === 5, "kind and size");
      const isIt = async (at: string): Promise<boolean> => {
        const [own, named] = await Promise.all([file.status(), fs.status(at)]);
        return own.identity === named?.identity && own.device === named.device;
      };
      expect(await isIt(path), "the name leads to the file");
      await fs.rename(path, moved);
      expect(await isIt(moved), "the new name does, too");
      await makeFile(fs, path, "12345");
      expect(!(await isIt(path)), "another file has the old name");
      await fs.remove(moved);
      expect((await file.status()).sizeBytes === 5, "without a name it is still there");
      await file.close();
    },
  },
];

const nameCases: readonly FileSystemCase[] = [
  {
    name: "lists names sorted by code unit and tells what they are",
    async run(fs, directory) {
      for (const name of ["b", "a", "B", "ä", "10", "9"]) await makeFile(fs, fs.join(directory, name), name);
      await fs.makeDirectory(fs.join(directory, "d"));
      expect((await fs.list(directory)).join() === "10,9,B,a,b,d,ä", "the order of names");
      const file = await fs.status(fs.join(directory, "10"));
      expect(file?.kind === "file" && file.sizeBytes === 2, "a file and its size");
      expect((await fs.status(fs.join(directory, "d")))?.kind === "directory", "a directory");
      expect((await fs.status(fs.join(directory, "none"))) === undefined, "nothing");
      const named = ["10", "d", "none"].map((name) => fs.isNamed(fs.join(directory, name)));
      expect((await Promise.all(named)).join() === "true,true,false", "what has a name");
      await expectCode(fs.list(fs.join(directory, "none")), "ENOENT");
      await expectCode(fs.list(fs.join(directory, "a")), "ENOTDIR");
    },
  },
  {
    name: "makes a directory with its parents, and again without complaint",
    async run(fs, directory) {
      const deep = fs.join(fs.join(directory, "x"), "y");
      await fs.makeDirectory(deep);
      await fs.makeDirectory(deep);
      expect(fs.parent(deep) === fs.join(directory, "x"), "the parent of a path");
      expect((await fs.status(deep))?.kind === "directory", "it is there");
      await makeFile(fs, fs.join(directory, "file"), "");
      await expectCode(fs.makeDirectory(fs.join(directory, "file")), "EEXIST");
      await expectCode(fs.makeDirectory(fs.join(directory, "file/below")), "ENOTDIR");
    },
  },
  {
    name: "renames over an existing file; identity moves along and differs for a copy",
    async run(fs, directory) {
      const [from, to] = [fs.join(directory, "from"), fs.join(directory, "to")];
      await makeFile(fs, from, "new");
      await makeFile(fs, to, "old");
      const identity = (await fs.status(from))?.identity;
      expect(identity !== (await fs.status(to))?.identity, "two files differ");
      await fs.rename(from, to);
      await fs.syncDirectory(directory);
      expect((await fs.status(to))?.identity === identity, "the identity moved");
      expect((await fs.list(directory)).join() === "to", "one name is left");
      await expectContent(fs, to, text("new"));
      await expectCode(fs.rename(from, to), "ENOENT");
      await fs.rename(to, to);
      await fs.makeDirectory(from);
      await expectCode(fs.rename(to, from), "EISDIR", "EEXIST", "ENOTEMPTY", "EPERM");
    },
  },
  {
    name: "removes files, not directories",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      await makeFile(fs, path, "");
      await fs.remove(path);
      await fs.syncDirectory(directory);
      await expectCode(fs.remove(path), "ENOENT");
      await fs.makeDirectory(path);
      await expectCode(fs.remove(path), "EISDIR", "EPERM");
    },
  },
  {
    name: "removes empty directories, not files",
    async run(fs, directory) {
      const path = fs.join(directory, "a");
      await fs.makeDirectory(path);
      await makeFile(fs, fs.join(path, "file"), "");
      await expectCode(fs.removeDirectory(path), "ENOTEMPTY", "EEXIST");
      await expectCode(fs.removeDirectory(fs.join(path, "file")), "ENOTDIR");
      await fs.remove(fs.join(path, "file"));
      await fs.removeDirectory(path);
      await fs.syncDirectory(directory);
      expect((await fs.list(directory)).length === 0, "it is gone");
      await expectCode(fs.removeDirectory(path), "ENOENT");
      await fs.makeDirectory(path);
      expect((await fs.list(path)).length === 0, "a new one is empty");
    },
  },
  {
    name: "finds the real path of what exists",
    async run(fs, directory) {
      const real = await fs.realPath(directory);
      await fs.makeDirectory(fs.join(real, "a"));
      expect((await fs.realPath(fs.join(real, "a/../a/."))) === fs.join(real, "a"), "dots are resolved");
      await expectCode(fs.realPath(fs.join(real, "none")), "ENOENT");
    },
  },
  {
    name: "gives the lock of a directory to one at a time",
    async run(fs, directory) {
      const lock = await fs.lock(directory);
      await expectCode(fs.lock(directory), "LOCKED");
      await expectCode(fs.lock(fs.join(directory, ".")), "LOCKED");
      await lock.release();
      const again = await fs.lock(directory);
      await lock.release();
      await expectCode(fs.lock(directory), "LOCKED");
      await again.release();
    },
  },
  {
    name: "tells who holds the lock of a directory without taking it",
    async run(fs, directory) {
      const names = (await fs.list(directory)).length;
      expect(await fs.lookForHolder(directory), "nobody does, and nobody may");
      expect((await fs.list(directory)).length === names, "nothing is left behind");
      const lock = await fs.lock(directory);
      await expectCode(fs.lookForHolder(directory), "LOCKED");
      await expectCode(fs.lookForHolder(fs.join(directory, ".")), "LOCKED");
      await lock.release();
      expect(await fs.lookForHolder(directory), "nobody does any more");
    },
  },
  {
    name: "tells whether others still find a lock",
    async run(fs, directory) {
      const [path, moved] = [fs.join(directory, "held"), fs.join(directory, "moved")];
      await fs.makeDirectory(path);
      const lock = await fs.lock(path);
      expect(await lock.stands(), "it stands");
      await fs.rename(path, moved);
      expect(!(await lock.stands()), "it does not where its directory is not");
      await fs.rename(moved, path);
      expect(await lock.stands(), "it does again");
      await lock.release();
      expect(!(await lock.stands()), "it does not once it was released");
    },
  },
];

/** What every {@link FileSystem} must do, the machine's own and the simulated one alike. */
export const fileSystemCases: readonly FileSystemCase[] = [...contentCases, ...handleCases, ...nameCases];
