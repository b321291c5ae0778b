import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { isMissing } from "./disk.js";
import { baseName, parentPath, RESERVED_NAME } from "./paths.js";

const MARKER = "identity";
const STAGING = "staging";

/** What lies between the root and a path. */
export type Way = "clear" | "missing" | "file" | "link";

/** The mirrored directory: the only place where paths become places on the disk. */
export class Root {
  /** Absolute, without symbolic links. */
  readonly directory: string;
  /** Random name of this very tree, kept in it: another disk mounted here is noticed. */
  readonly identity: string;
  /** Whether the file system takes "a" and "A" for the same name. */
  readonly foldsCase: boolean;

  /** Staging files of an earlier process that never took their place. */
  readonly leftovers: ReadonlySet<string>;

  private constructor(directory: string, identity: string, foldsCase: boolean, leftovers: string[]) {
    this.directory = directory;
    this.identity = identity;
    this.foldsCase = foldsCase;
    this.leftovers = new Set(leftovers);
  }

  /** Opens, and if need be creates, a directory to mirror. */
  static async open(path: string): Promise<Root> {
    await mkdir(path, { recursive: true });
    const directory = await realpath(path);
    const own = join(directory, RESERVED_NAME);
    await mkdir(own, { recursive: true, mode: 0o700 });
    if (!(await lstat(own)).isDirectory()) throw new Error(`${own} is not a directory`);
    const leftovers = await readdir(await makeStaging(directory));
    const identity = await readOrCreateMarker(join(own, MARKER));
    return new Root(directory, identity, await foldsCase(own), leftovers);
  }

  /** Removes the leftovers, except those that the index still needs to know what a crash interrupted. */
  async removeLeftovers(needed: ReadonlySet<string>): Promise<void> {
    for (const name of this.leftovers) {
      if (needed.has(name)) continue;
      await rm(join(this.directory, RESERVED_NAME, STAGING, name), { recursive: true, force: true });
    }
  }

  absolute(path: string): string {
    return path === "" ? this.directory : join(this.directory, path);
  }

  /** A new name to write to, in the same file system as the tree. */
  stagingFile(): string {
    return join(this.directory, RESERVED_NAME, STAGING, randomBytes(12).toString("hex"));
  }

  /** Makes the place for staging files again where somebody removed it. */
  async mendStaging(): Promise<void> {
    await makeStaging(this.directory);
  }

  /** Before anything is made or taken for deleted: an empty mount point is not the tree. */
  async assertPresent(): Promise<void> {
    if (!(await this.isPresent())) throw new Error(`${this.directory} is gone, or is another directory now`);
  }

  /** Whether this is still the tree that was opened, and not an empty mount point or nothing at all. */
  async isPresent(): Promise<boolean> {
    try {
      return (await readFile(join(this.directory, RESERVED_NAME, MARKER), "utf8")) === this.identity;
    } catch {
      return false;
    }
  }

  /** Looks at every directory above `path`: only a clear way may be written through. */
  async wayTo(path: string): Promise<Way> {
    const parent = parentPath(path);
    if (parent === "") return "clear";
    let place = this.directory;
    for (const segment of parent.split("/")) {
      place = join(place, segment);
      const kind = await kindOf(place);
      if (kind !== "directory") return kind;
    }
    return "clear";
  }

  /** The last check before something is written: resolved by the system, the parent lies inside. */
  async confines(path: string): Promise<boolean> {
    const parent = await realpath(this.absolute(parentPath(path)));
    return parent === this.directory || parent.startsWith(this.directory + sep);
  }

  /** Whether `path` is a directory, reached without any link. */
  async isDirectory(path: string): Promise<boolean> {
    return (await this.wayTo(path)) === "clear" && (await kindOf(this.absolute(path))) === "directory";
  }

  /** Whether a symbolic link stands at `path` itself. */
  async isLink(path: string): Promise<boolean> {
    return (await kindOf(this.absolute(path))) === "link";
  }

  /** Whether another name that this file system takes for the same one stands where `path` is to be. */
  async collides(path: string): Promise<boolean> {
    if (!this.foldsCase) return false;
    const name = baseName(path);
    const folded = fold(name);
    const siblings = await readdir(this.absolute(parentPath(path)));
    return !siblings.includes(name) && siblings.some((sibling) => fold(sibling) === folded);
  }
}

async function makeStaging(directory: string): Promise<string> {
  const staging = join(directory, RESERVED_NAME, STAGING);
  await mkdir(staging, { recursive: true, mode: 0o700 });
  return staging;
}

function fold(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

async function kindOf(place: string): Promise<Exclude<Way, "clear"> | "directory"> {
  try {
    const stats = await lstat(place);
    if (stats.isSymbolicLink()) return "link";
    return stats.isDirectory() ? "directory" : "file";
  } catch (error) {
    if (isMissing(error)) return "missing";
    throw error;
  }
}

async function readOrCreateMarker(path: string): Promise<string> {
  try {
    const identity = await readFile(path, "utf8");
    if (/^[0-9a-f]{32}$/.test(identity)) return identity;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const identity = randomBytes(16).toString("hex");
  await writeFile(path, identity, { mode: 0o600 });
  return identity;
}

async function foldsCase(own: string): Promise<boolean> {
  try {
    await lstat(join(own, MARKER.toUpperCase()));
    return true;
  } catch {
    return false;
  }
}
