/**
 * The lock of a data directory: at most one process of this machine holds it. Node offers no `flock`,
 * so that the lock is a Unix domain socket, which the kernel ties to the life of its process.
 *
 * Protocol. A process that wants the lock
 *   1. listens on a socket bound at a temporary name, and only then renames it to `LOCK-<random>`;
 *      from that moment it is announced, and whoever sees the name finds somebody listening;
 *   2. lists the directory and asks every other `LOCK-*`: nobody listens (its process has died or has
 *      let go) -> removes the name; a holder -> withdraws; a candidate -> the greater name withdraws
 *      and the smaller one waits until the other has withdrawn, died or become holder;
 *   3. becomes holder when every name that it saw is dead.
 *
 * Never two holders. Suppose P and Q both hold. Both announced before they listed, so that at least one,
 * say Q, listed after P's announcement, and P has been listening under that name without a gap. While P
 * lives Q's question reaches it (the kernel accepts it even if P is stopped or busy): if P is holder, or
 * says nothing in time, Q withdraws; if P is a candidate, Q withdraws or waits, and the wait ends with P
 * as holder or with P gone. Hence Q held only after P was dead or had let go. Names are 128 random bits
 * and never used twice, so that a name once dead stays dead and removing it harms nobody.
 *
 * Somebody wins. Only smaller names wait, and only for greater ones, so that no circle can form; the
 * smallest candidate is left unless another has become holder.
 *
 * A crash leaves a name that nobody listens under, which the next opener removes. Process numbers only
 * appear in messages. The lock does not reach beyond one kernel: two machines must not share a directory.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import { codeOf, FulmarError, fileError } from "../../errors.js";
import type { DirectoryLock } from "../interface.js";
import { askLock, isDeadLock, type LockAnswer, type LockPatience, LockSocket } from "./lock-socket.js";

const ANNOUNCED = /^LOCK-[0-9a-f]{32}$/;
const TEMPORARY = /^LOCKING-[0-9a-f]{32}$/;
/** Longest path of a socket, in bytes: the kernel's field has 108 (Linux) or 104, one of them the final zero. */
const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;
const NAME_BYTES = "LOCKING-".length + 32;
/** A holder that cleans up may take our temporary name for a dead one; more often than this it is no accident. */
const ANNOUNCE_ATTEMPTS = 5;
/** A socket that accepts and ends so many conversations without a word lives, but does not speak this protocol. */
const ASK_ATTEMPTS = 8;
const PATIENCE: LockPatience = { answerMs: 2_000, settleMs: 5_000 };

/** The directories that this process holds or is about to: no need to ask the kernel about ourselves. */
const held = new Set<string>();

function lockedHere(directory: string): FulmarError {
  const message = `${directory} is in use by this process: close the store that is open, or use another directory`;
  return new FulmarError("LOCKED", message, { pid: process.pid, directory });
}

function lockedElsewhere(directory: string, pid: number | undefined): FulmarError {
  const owner = `process ${pid ?? "(number unknown: it does not answer)"}`;
  const message = `${directory} is in use by ${owner}: stop it, or use another directory`;
  return new FulmarError("LOCKED", message, { pid, directory });
}

function lockError(cause: unknown, directory: string): FulmarError {
  const system = codeOf(cause);
  if (cause instanceof FulmarError) return cause;
  if (system !== "ENOENT" && system !== "EOPNOTSUPP" && system !== "ENOTSUP") {
    return fileError(cause, "lock", directory);
  }
  const reason = system === "ENOENT" ? "it does not exist" : "its file system has no sockets";
  return new FulmarError("PATH_UNUSABLE", `cannot lock ${directory}: ${reason}`, {
    path: directory,
    system,
    cause,
  });
}

async function removeName(path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

/**
 * A path to the directory that is short enough for sockets in it. A longer one would be cut silently,
 * and the socket bound elsewhere; Linux reaches the directory through its open descriptor instead.
 */
function socketDirectory(directory: string, handle: fs.FileHandle): string {
  if (Buffer.byteLength(directory) + 1 + NAME_BYTES <= SOCKET_PATH_BYTES_MAX) return directory;
  if (process.platform === "linux") return `/proc/self/fd/${handle.fd}`;
  const most = SOCKET_PATH_BYTES_MAX - 1 - NAME_BYTES;
  throw new FulmarError("PATH_UNUSABLE", `cannot lock ${directory}: longer than ${most} bytes`, {
    directory,
  });
}

/** Returns when nobody listens at `path`; rejects with LOCKED once the answer of whoever does `settles` the matter. */
async function untilDead(
  directory: string,
  path: string,
  settles: (answer: LockAnswer) => boolean,
  patience: LockPatience,
): Promise<void> {
  for (let attempt = 0; attempt < ASK_ATTEMPTS; attempt++) {
    const outcome = await askLock(path, settles, patience);
    if (outcome.kind === "dead") return;
    if (outcome.kind === "alive") throw lockedElsewhere(directory, outcome.answer?.pid);
  }
  throw lockedElsewhere(directory, undefined);
}

/** One process's part in the protocol, over one directory. */
class Contender {
  readonly #directory: string;
  readonly #handle: fs.FileHandle;
  readonly #patience: LockPatience;
  readonly #at: string;
  #socket = new LockSocket();
  #name = "";

  constructor(directory: string, handle: fs.FileHandle, patience: LockPatience) {
    this.#directory = directory;
    this.#handle = handle;
    this.#patience = patience;
    this.#at = socketDirectory(directory, handle);
  }

  /** Step 1. */
  async announce(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const id = randomBytes(16).toString("hex");
      const temporary = this.#path(`LOCKING-${id}`);
      try {
        await this.#socket.listen(temporary);
        await fs.chmod(temporary, 0o600);
        await fs.rename(temporary, this.#path(`LOCK-${id}`));
        this.#name = `LOCK-${id}`;
        return;
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || attempt === ANNOUNCE_ATTEMPTS) throw error;
        await this.#socket.close();
        this.#socket = new LockSocket();
      }
    }
  }

  /** Steps 2 and 3; rejects with LOCKED if another is before us. */
  async contend(): Promise<void> {
    const names = await fs.readdir(this.#at);
    for (const name of names.sort()) {
      if (ANNOUNCED.test(name) && name !== this.#name) await this.#outlive(name);
    }
    this.#socket.becomeHolder();
    // Left by processes that died before they were announced.
    for (const name of names) {
      if (TEMPORARY.test(name) && (await isDeadLock(this.#path(name)))) await removeName(this.#path(name));
    }
  }

  /** Whether others still find the name. What cannot be looked at is not known to be gone. */
  async stands(): Promise<boolean> {
    try {
      await fs.lstat(this.#path(this.#name));
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
      throw error;
    }
  }

  /** Lets go, as candidate or holder. */
  async withdraw(): Promise<void> {
    // Closing the socket removes the temporary name, under which it was bound, but not the one it has now.
    // A name that cannot be removed is dead all the same; the next opener tries again.
    if (this.#name !== "") await removeName(this.#path(this.#name)).catch(() => undefined);
    await this.#socket.close();
    await this.#handle.close();
  }

  /** Returns when the process behind `name` is gone. */
  async #outlive(name: string): Promise<void> {
    // Against a greater candidate we wait for its next word.
    const settles = (answer: LockAnswer): boolean => answer.state === "holder" || name < this.#name;
    await untilDead(this.#directory, this.#path(name), settles, this.#patience);
    await removeName(this.#path(name));
  }

  #path(name: string): string {
    return `${this.#at}/${name}`;
  }
}

async function acquire(directory: string, patience: LockPatience): Promise<DirectoryLock> {
  const handle = await fs.open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  let contender: Contender;
  try {
    contender = new Contender(directory, handle, patience);
  } catch (error) {
    await handle.close();
    throw error;
  }
  try {
    await contender.announce();
    await contender.contend();
  } catch (error) {
    await contender.withdraw();
    throw error;
  }
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => contender.withdraw().finally(() => held.delete(directory));
  return {
    stands: async () => released === undefined && (await contender.stands()),
    release() {
      released ??= release();
      return released;
    },
  };
}

/** The directory itself, unless this process holds it. */
async function lockablePath(directory: string): Promise<string> {
  if (process.platform === "win32") {
    throw new FulmarError("PATH_UNUSABLE", `cannot lock ${directory}: Windows is not supported`, {
      directory,
    });
  }
  let path: string;
  try {
    path = await fs.realpath(directory);
  } catch (error) {
    throw lockError(error, directory);
  }
  if (held.has(path)) throw lockedHere(path);
  return path;
}

/** Takes the lock of an existing directory; see {@link DirectoryLock} and the comment above. */
export async function lockDirectory(directory: string, patience = PATIENCE): Promise<DirectoryLock> {
  const path = await lockablePath(directory);
  held.add(path);
  try {
    return await acquire(path, patience);
  } catch (error) {
    held.delete(path);
    throw lockError(error, path);
  }
}

/**
 * Asks every process that is announced, announcing nothing: for those who may not write. Rejects with LOCKED if one
 * lives; false if one may not be asked. Whoever comes later is not seen.
 */
export async function askForHolder(directory: string, patience = PATIENCE): Promise<boolean> {
  const path = await lockablePath(directory);
  try {
    const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return await askAll(path, socketDirectory(path, handle), patience);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw lockError(error, path);
  }
}

async function askAll(directory: string, at: string, patience: LockPatience): Promise<boolean> {
  let allTold = true;
  for (const name of await fs.readdir(at)) {
    if (!ANNOUNCED.test(name)) continue;
    try {
      // A candidate is about to write, or to let go.
      await untilDead(directory, `${at}/${name}`, ({ state }) => state === "holder", patience);
    } catch (error) {
      if (codeOf(error) !== "ACCESS_DENIED") throw error;
      allTold = false;
    }
  }
  return allTold;
}
