import { equalBytes } from "../base/bytes.js";
import { codeOf, FulmarError } from "../base/errors.js";
import type { Clock, DirectoryLock, FileHandle, FileStatus, FileSystem } from "../base/runtime/interface.js";
import { readFully, withFile } from "./files.js";
import { checkpointName, type Layout, segmentName } from "./layout.js";
import type { LogSegments } from "./log-segments.js";
import { type LogEnd, MANIFEST_BYTES, type ManifestFile } from "./manifest.js";

/** While a store is written, its files are looked at with the first sync after so long, in ms. */
const LOOK_MS = 1000;
/** So much of the end of what is on stable storage tells a file from another, an earlier copy included. */
const COMPARED_BYTES = 4096;

/** What is not as the store left it. */
interface Loss {
  readonly path: string;
  readonly found: string;
}

export interface PresenceParts {
  readonly runtime: { readonly clock: Clock; readonly fileSystem: FileSystem };
  readonly layout: Layout;
  readonly lock: DirectoryLock;
  readonly manifest: ManifestFile;
  readonly segments: LogSegments;
  readonly syncedEnd: () => LogEnd;
}

/**
 * Notices that the files of an open store are not where the next open will look for them. Whoever removes, moves or
 * replaces an open file is not told that it is open, and neither are those who write to it: the system goes on
 * taking what no name leads to.
 *
 * Only what is certain counts. A file is gone when nothing has its name. It is another one when inode or device
 * differ and what it holds does too, because some file systems give a file a new number each time that they are asked.
 * What cannot be looked at, for whatever reason, is taken to be there. What was changed in place the next open finds.
 */
export class Presence {
  readonly #parts: PresenceParts;
  #lookedMs: number;
  #lookedSegment: number;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    this.#lookedMs = parts.runtime.clock.monotonicMs();
    this.#lookedSegment = parts.segments.current.number;
  }

  /** Whether the next sync is to be told of only after a look: that is a second ago, or in another segment. */
  get isDue(): boolean {
    const { runtime, segments } = this.#parts;
    if (segments.current.number !== this.#lookedSegment) return true;
    return runtime.clock.monotonicMs() - this.#lookedMs >= LOOK_MS;
  }

  /** Looks at everything that the next open needs; the error for what is not there. Does not reject. */
  async look(): Promise<FulmarError | undefined> {
    const { runtime, segments } = this.#parts;
    this.#lookedMs = runtime.clock.monotonicMs();
    this.#lookedSegment = segments.current.number;
    const [lock, manifest, ...others] = await Promise.all([
      ifKnown(this.#lookAtLock()),
      ifKnown(this.#lookAtManifest()),
      ifKnown(this.#lookAtCurrent()),
      ifKnown(this.#lookAtOlder()),
      ifKnown(this.#lookAtCheckpoint()),
    ]);
    const loss = lock ?? manifest ?? others.find((other) => other !== undefined);
    if (loss === undefined) return undefined;
    if (lock === undefined && manifest === undefined) await this.#noteEnd();
    return directoryLost(loss);
  }

  /** The next open is to refuse a log that has lost its end, and not to take what is left for all there was. */
  async #noteEnd(): Promise<void> {
    const { manifest, syncedEnd } = this.#parts;
    const note = manifest.update((now) => ({ ...now, synced: syncedEnd() }));
    // Of no use to anybody: the store fails in any case.
    await note.catch(() => undefined);
  }

  async #lookAtLock(): Promise<Loss | undefined> {
    const { lock, layout } = this.#parts;
    return (await lock.stands()) ? undefined : { path: layout.root, found: "its lock is gone" };
  }

  #lookAtManifest(): Promise<Loss | undefined> {
    const { manifest, layout } = this.#parts;
    // Between two changes: half of one would look like another file.
    return manifest.undisturbed((handle) => this.#lookAt(handle, layout.manifest, MANIFEST_BYTES));
  }

  async #lookAtCurrent(): Promise<Loss | undefined> {
    const { segments } = this.#parts;
    const { current } = segments;
    const { handle, path, syncedPosition } = current;
    if (handle === undefined) return undefined;
    const loss = await this.#lookAt(handle, path, syncedPosition);
    return segments.has(current) ? loss : undefined;
  }

  /** Nothing writes to these any more, so that only their names matter. */
  async #lookAtOlder(): Promise<Loss | undefined> {
    const { runtime, layout, segments } = this.#parts;
    const { older } = segments;
    if (older.length === 0) return undefined;
    const names = new Set(await runtime.fileSystem.list(layout.log));
    for (const segment of older) {
      const { path } = segment;
      if (names.has(segmentName(segment.number)) || (await this.#statusOf(path)) !== undefined) continue;
      // A checkpoint may have let go of it meanwhile.
      if (segments.has(segment)) return { path, found: "it is gone" };
    }
    return undefined;
  }

  async #lookAtCheckpoint(): Promise<Loss | undefined> {
    const { runtime, layout, manifest } = this.#parts;
    const { number } = manifest.manifest.checkpoint;
    if (number === 0) return undefined;
    const path = runtime.fileSystem.join(layout.checkpoints, checkpointName(number));
    if ((await this.#statusOf(path)) !== undefined) return undefined;
    // Another one may have replaced it meanwhile.
    return manifest.manifest.checkpoint.number === number ? { path, found: "it is gone" } : undefined;
  }

  /** Compares an open file with what has its name. `endBytes`: what of it is on stable storage. */
  async #lookAt(handle: FileHandle, path: string, endBytes: number): Promise<Loss | undefined> {
    const [own, named] = await Promise.all([handle.status(), this.#statusOf(path)]);
    if (named === undefined) return { path, found: "it is gone" };
    if (named.identity === own.identity && named.device === own.device) return undefined;
    const isCopy = named.kind === "file" && (await this.#holdsTheSame(handle, path, endBytes));
    return isCopy ? undefined : { path, found: "it is another file" };
  }

  async #holdsTheSame(handle: FileHandle, path: string, endBytes: number): Promise<boolean> {
    const length = Math.min(COMPARED_BYTES, endBytes);
    const from = endBytes - length;
    return withFile(this.#parts.runtime.fileSystem, path, "read", async (other) =>
      equalBytes(await read(handle, from, length), await read(other, from, length)),
    );
  }

  async #statusOf(path: string): Promise<FileStatus | undefined> {
    try {
      return await this.#parts.runtime.fileSystem.status(path);
    } catch (error) {
      // A file stands where a directory on the way was.
      if (codeOf(error) === "ENOTDIR") return undefined;
      throw error;
    }
  }
}

async function read(handle: FileHandle, position: number, lengthBytes: number): Promise<Uint8Array> {
  const target = new Uint8Array(lengthBytes);
  return target.subarray(0, await readFully(handle, target, position));
}

/** What is not known is no reason to stop a store. */
function ifKnown(look: Promise<Loss | undefined>): Promise<Loss | undefined> {
  return look.catch(() => undefined);
}

function directoryLost({ path, found }: Loss): FulmarError {
  const message =
    `${path} was removed, moved or replaced while the store had it open (${found}): what is written would be lost, so` +
    " nothing more is; save what memory holds with backup() or dump() before you close the store";
  return new FulmarError("DIRECTORY_LOST", message, { path });
}
