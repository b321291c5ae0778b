import { readU64 } from "../base/bytes.js";
import { codeOf } from "../base/errors.js";
import { ADOPTED_NUMBERS_MAX } from "../base/limits.js";
import { keyLengthOf, keyStart } from "../record/entry.js";
import type { CareProgress, LostPart, RepairedFile } from "./care-types.js";
import type { CheckpointCover } from "./checkpoint-cover.js";
import { attempt, withFile } from "./files.js";
import { newIdentity } from "./first-open.js";
import type { DiskRuntime } from "./keyring.js";
import { checkpointName, checkpointNumber, type Layout, segmentName, segmentNumber } from "./layout.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type SalvagedCheckpoint, salvageCheckpoint } from "./salvage-checkpoint.js";
import { inOrder, inspect, leadingTo, type Segment } from "./salvage-order.js";
import {
  type SalvagedSegment,
  type SegmentLimit,
  type SegmentVisitor,
  salvageSegment,
} from "./salvage-segment.js";
import { SalvageSink } from "./salvage-sink.js";

/** Where the version stands in the header of a checkpoint. */
const CHECKPOINT_VERSION_AT = 64;

export interface SalvageContext {
  readonly runtime: DiskRuntime;
  readonly layout: Layout;
  readonly progress: (progress: CareProgress) => void;
  /** Throws to give up. */
  readonly check: () => void;
}

/** Everything that could be read of a directory, and what could not. */
export interface Salvaged {
  readonly sink: SalvageSink;
  readonly files: readonly RepairedFile[];
  readonly storeId: string;
  readonly hadPeers: boolean;
  /** Whether the checkpoint was compressed, as far as its header tells. */
  readonly compressed: boolean;
  /** By which key the newest file is sealed that tells. */
  readonly keyId: string | undefined;
  /** Versions up to this one may have been given out. */
  readonly usedVersion: number;
}

/** The segments of a directory, oldest first. */
interface FoundLog {
  readonly live: readonly Segment[];
  /** Those before the live ones that lead up to them: they are kept for watches. */
  readonly kept: readonly Segment[];
  /** Those behind which others are missing. */
  readonly detached: readonly Segment[];
}

/** What a damaged checkpoint leaves open. */
interface LostBlocks {
  readonly version: number;
  readonly cover: CheckpointCover;
}

/** What one or two readings of a segment found. */
interface FoundSegment extends SalvagedSegment {
  /** How many entries have a time that no store reaches. */
  readonly timesLost: number;
  /** How many commits are of a version that a commit before them has as well. */
  readonly late: number;
}

/** Reads whatever is whole in a directory into memory; changes nothing. */
export async function salvage(context: SalvageContext): Promise<Salvaged> {
  return new Salvage(context).run();
}

class Salvage {
  readonly #context: SalvageContext;
  readonly #sink: SalvageSink;
  readonly #files: RepairedFile[] = [];
  /** What was found in each segment when it stood in for lost blocks of the checkpoint. */
  readonly #earlier = new Map<string, FoundSegment>();
  #manifest: Manifest | undefined;

  constructor(context: SalvageContext) {
    this.#context = context;
    this.#sink = new SalvageSink(context.runtime);
  }

  async run(): Promise<Salvaged> {
    const { layout, runtime } = this.#context;
    this.#manifest = await this.#readManifest();
    const log = await this.#listSegments();
    const { path, isNamed } = await this.#chooseCheckpoint(log.live);
    const checkpoint = path === undefined ? undefined : await this.#readCheckpoint(path, log);
    const isWhole = isNamed && checkpoint?.cover.isComplete !== false;
    const segments = isWhole ? log.live : [...log.kept, ...log.live];
    this.#reportGaps(log.live);
    if (!isWhole) this.#reportDetached(log);
    await this.#readLog(segments);
    this.#sink.settle();
    const header = checkpoint?.header;
    const known = segments.find(({ inspected }) => inspected?.header !== undefined)?.inspected?.header;
    const newest = segments.findLast(({ inspected }) => inspected?.header !== undefined)?.inspected;
    const manifest = this.#manifest;
    const used = [this.#sink.version, manifest?.version ?? 0, header?.version ?? 0];
    return {
      sink: this.#sink,
      files: this.#files.map((file) => ({ ...file, file: relative(layout, runtime, file.file) })),
      storeId: manifest?.storeId ?? header?.storeId ?? known?.storeId ?? newIdentity(runtime),
      compressed: header?.compressed ?? false,
      keyId: newest === undefined ? checkpoint?.keyId : newest.seal?.keyId,
      hadPeers: manifest?.hadPeers ?? header?.hadPeers ?? true,
      usedVersion: Math.max(...used.filter((version) => version <= ADOPTED_NUMBERS_MAX)),
    };
  }

  async #readManifest(): Promise<Manifest | undefined> {
    const { runtime, layout } = this.#context;
    const { manifest: path } = layout;
    const miss = (bytes: number, what: string): undefined => {
      this.#files.push({ file: path, kind: "manifest", saved: 0, lost: [{ offset: 0, bytes, what }] });
    };
    const status = await attempt("look at", path, runtime.fileSystem.status(path));
    if (status === undefined) return miss(0, "the file is missing");
    try {
      const reading = await withFile(runtime.fileSystem, path, "read", (handle) =>
        readManifest(runtime.checksum, handle),
      );
      return reading.manifest;
    } catch (error) {
      if (codeOf(error) !== "CORRUPT") throw error;
      return miss(status.sizeBytes, "both slots");
    }
  }

  async #listSegments(): Promise<FoundLog> {
    const { runtime, layout } = this.#context;
    const { fileSystem } = runtime;
    const found: Segment[] = [];
    for (const name of await listIfThere(runtime, layout.log)) {
      const number = segmentNumber(name);
      if (number === undefined) continue;
      const segment = await inspect(runtime, fileSystem.join(layout.log, name), number);
      const storeId = segment.inspected?.header?.storeId;
      if (storeId === undefined || storeId === (this.#manifest?.storeId ?? storeId)) found.push(segment);
      else if (number >= this.#firstSegment) this.#foreign(segment.path);
    }
    const segments = inOrder(found, this.#manifest);
    const first = segments.find(({ number }) => number === this.#firstSegment);
    const base = first?.inspected?.opening?.base ?? 0;
    // Those before the first are history, unless it is not the first.
    const isFirst = first !== undefined && base <= (this.#manifest?.checkpoint.version ?? 0);
    const isLive = ({ number, inspected }: Segment): boolean =>
      number >= this.#firstSegment || (inspected?.opening?.base ?? 0) > base;
    if (!isFirst) return { live: segments, kept: [], detached: [] };
    const live = segments.filter(isLive);
    const older = segments.filter((segment) => !isLive(segment));
    const kept = leadingTo(live[0], older);
    return { live, kept, detached: older.filter((segment) => !kept.includes(segment)) };
  }

  get #firstSegment(): number {
    return this.#manifest?.firstSegment ?? 0;
  }

  #foreign(file: string): void {
    const lost = [{ offset: 0, bytes: 0, what: "it belongs to another store" }];
    this.#files.push({ file, kind: "segment", saved: 0, lost });
  }

  /** The one that the manifest names, or the newest one where that is not there and something must have been. */
  async #chooseCheckpoint(
    segments: readonly Segment[],
  ): Promise<{ readonly path: string | undefined; readonly isNamed: boolean }> {
    const { runtime, layout } = this.#context;
    const names = await listIfThere(runtime, layout.checkpoints);
    const numbers = names.map(checkpointNumber).filter((number) => number !== undefined);
    const live = this.#manifest?.checkpoint.number ?? -1;
    const isNeeded = live !== 0 || segments.every(({ inspected }) => inspected?.opening?.base !== 0);
    const chosen = numbers.includes(live) ? live : isNeeded ? Math.max(0, ...numbers) : 0;
    const isNamed = live <= 0 || chosen === live;
    if (!isNamed) this.#missingCheckpoint();
    const name = checkpointName(chosen);
    return { path: chosen === 0 ? undefined : runtime.fileSystem.join(layout.checkpoints, name), isNamed };
  }

  #missingCheckpoint(): void {
    const { runtime, layout } = this.#context;
    const { number, bytes, version } = this.#manifest?.checkpoint ?? { number: 0, bytes: 0, version: 0 };
    const file = runtime.fileSystem.join(layout.checkpoints, checkpointName(number));
    const what = "the file is missing: what was written up to its version and not later";
    const lost = [{ offset: 0, bytes, what, versions: { from: 1, to: version } }];
    this.#files.push({ file, kind: "checkpoint", saved: 0, lost });
  }

  /**
   * Where blocks are lost, the log may still hold what was in them, also in segments that are kept for watches: it is
   * read first, and the checkpoint's entries, which are newer than any commit up to its version, come over that. The
   * checkpoint's silence about a key that was in none of them means that there is none.
   */
  async #readCheckpoint(path: string, { kept, live }: FoundLog): Promise<SalvagedCheckpoint> {
    let newest = 0;
    const probe = await this.#scanCheckpoint(path, (bytes, at) => {
      const version = readU64(bytes, at - 8);
      if (version <= ADOPTED_NUMBERS_MAX) newest = Math.max(newest, version);
    });
    const version = this.#checkpointVersion(probe, newest);
    const lost = [...probe.lost];
    if (probe.header !== undefined && probe.header.version !== version) {
      const what = `its version: it says ${probe.header.version}, and counts as ${version}`;
      lost.push({ offset: CHECKPOINT_VERSION_AT, bytes: 8, what });
    }
    const sink = this.#sink;
    const { cover } = probe;
    if (!cover.isComplete) await this.#readLog([...kept, ...live], { version, cover });
    const found = sink.engine.usage().entries;
    // Its entries come at one version, since engines take versions in order, and all of them are older.
    const at = Math.max(1, version, sink.version);
    await this.#scanCheckpoint(path, (bytes, from, length) => sink.add(at, bytes, from, length));
    sink.version = Math.max(sink.version, version);
    lost.push(...timesParts(this.#takeTimesLost()));
    const foundInLog = cover.isComplete ? {} : { foundInLog: found };
    this.#files.push({ file: path, kind: "checkpoint", saved: probe.saved, ...foundInLog, lost });
    return probe;
  }

  /**
   * What header and manifest say, where they agree. Otherwise the lower one is right enough: every entry is older, and
   * commits of the log between the two are in the checkpoint already or only delete.
   */
  #checkpointVersion({ header }: SalvagedCheckpoint, newest: number): number {
    const stated = [header?.version, this.#manifest?.checkpoint.version].filter((each) => each !== undefined);
    const [first, second] = stated;
    if (stated.length === 2 && first === second && first <= ADOPTED_NUMBERS_MAX) return first;
    const possible = stated.filter((each) => each >= newest && each <= ADOPTED_NUMBERS_MAX);
    return possible.length === 0 ? newest : Math.min(...possible);
  }

  /** How many times no store reaches, since the last call. */
  #takeTimesLost(): number {
    const count = this.#sink.timesLost;
    this.#sink.timesLost = 0;
    return count;
  }

  #scanCheckpoint(path: string, visit: Parameters<typeof salvageCheckpoint>[2]): Promise<SalvagedCheckpoint> {
    let entries = 0;
    return salvageCheckpoint(this.#context.runtime, path, (bytes, at, length) => {
      visit(bytes, at, length);
      if (++entries % 1024 === 0) this.#context.check();
    });
  }

  /**
   * Takes the commits behind what was taken so far. Those that stand in for lost blocks of a checkpoint are up to its
   * version, and only what these blocks can have held is taken of them; the others are reported on.
   */
  async #readLog(segments: readonly Segment[], lost?: LostBlocks): Promise<void> {
    const sink = this.#sink;
    const before = sink.version;
    const last = lost?.version ?? Number.POSITIVE_INFINITY;
    let [newest, late] = [before, 0];
    const visitor: SegmentVisitor = {
      wants: (version) => {
        if (version > before && version <= newest) late++;
        return version > newest && version <= last;
      },
      entry: (version, bytes, at, length) => {
        newest = version;
        const key = keyStart(bytes, at);
        if (lost?.cover.has(bytes, key, key + keyLengthOf(bytes, at)) === true) return false;
        sink.add(version, bytes, at, length);
        return true;
      },
    };
    let bytes = 0;
    const bytesTotal = segments.reduce((sum, { inspected }) => sum + (inspected?.sizeBytes ?? 0), 0);
    for (const segment of segments) {
      this.#context.check();
      const limit = this.#limitOf(segment, segments);
      const { runtime, progress } = this.#context;
      const read = await salvageSegment(runtime, segment.path, limit, visitor);
      const found = { ...read, timesLost: this.#takeTimesLost(), late };
      if (lost === undefined)
        this.#report(segment, withEarlier(found, this.#earlier.get(segment.path)), limit);
      else this.#earlier.set(segment.path, found);
      late = 0;
      bytes += segment.inspected?.sizeBytes ?? 0;
      progress({ phase: "read", entries: sink.seq, bytes, bytesTotal: Math.max(bytes, bytesTotal) });
    }
  }

  /** Where the records of a segment end, as the next segment or the manifest says; undefined if none does. */
  #limitOf(segment: Segment, segments: readonly Segment[]): SegmentLimit | undefined {
    for (const { inspected } of segments) {
      const opening = inspected?.opening;
      if (opening?.previousSegment !== segment.number) continue;
      const { base, predecessorCrc, previousEnd } = opening;
      return { position: previousEnd, crc: predecessorCrc, version: base };
    }
    const { clean, synced } = this.#manifest ?? {};
    return clean === true && synced?.segment === segment.number ? synced : undefined;
  }

  #report(segment: Segment, read: FoundSegment, limit: SegmentLimit | undefined): void {
    const { synced } = this.#manifest ?? {};
    const lost = [...read.lost, ...timesParts(read.timesLost), ...lateParts(read.late)];
    const isSynced = synced?.segment === segment.number;
    const least = limit?.position ?? (isSynced ? synced.position : 0);
    if (read.end < least) {
      const until = isSynced && synced.version > this.#sink.version;
      const versions = until ? { versions: { from: this.#sink.version + 1, to: synced.version } } : {};
      lost.push({ offset: read.end, bytes: least - read.end, what: "bytes that were synced", ...versions });
    }
    this.#files.push({ file: segment.path, kind: "segment", saved: read.saved, lost });
  }

  #reportGaps(segments: readonly Segment[]): void {
    const { runtime, layout } = this.#context;
    const present = new Set(segments.map(({ number }) => number));
    const least = this.#manifest?.firstSegment ?? Math.min(...present);
    const missing = new Set<number>();
    if (this.#manifest !== undefined && !present.has(least)) missing.add(least);
    for (const { inspected } of segments) {
      const previous = inspected?.opening?.previousSegment ?? 0;
      if (previous >= least && !present.has(previous)) missing.add(previous);
    }
    for (const number of missing) {
      const part: LostPart = { offset: 0, bytes: 0, what: "the file is missing" };
      const file = runtime.fileSystem.join(layout.log, segmentName(number));
      this.#files.push({ file, kind: "segment", saved: 0, lost: [part] });
    }
  }

  /** What such a segment says may have been changed by what is missing. */
  #reportDetached({ detached, kept, live }: FoundLog): void {
    const [next] = [...kept, ...live];
    for (const { path, inspected } of detached) {
      const between = `what came between it and ${segmentName(next.number)}`;
      const what = `it is left out: ${between}, and may delete what it holds, is missing`;
      this.#files.push({
        file: path,
        kind: "segment",
        saved: 0,
        lost: [{ offset: 0, bytes: inspected?.sizeBytes ?? 0, what }],
      });
    }
  }
}

/**
 * What two readings of a segment saved together, and what either could not: damage that both met is one, but they took
 * other commits.
 */
function withEarlier(read: FoundSegment, earlier: FoundSegment | undefined): FoundSegment {
  if (earlier === undefined) return read;
  const known = new Set(read.lost.map((part) => JSON.stringify(part)));
  const more = earlier.lost.filter((part) => !known.has(JSON.stringify(part)));
  return {
    end: read.end,
    saved: earlier.saved + read.saved,
    lost: [...more, ...read.lost],
    timesLost: earlier.timesLost + read.timesLost,
    late: earlier.late + read.late,
  };
}

function timesParts(count: number): LostPart[] {
  const what = `the times of ${count} entries, which no store reaches: they count as the newest one before them`;
  return count === 0 ? [] : [{ offset: 0, bytes: 0, what }];
}

function lateParts(count: number): LostPart[] {
  const what = `${count} commits of versions that commits before them have as well`;
  return count === 0 ? [] : [{ offset: 0, bytes: 0, what }];
}

export async function listIfThere(runtime: DiskRuntime, directory: string): Promise<string[]> {
  const status = await attempt("look at", directory, runtime.fileSystem.status(directory));
  if (status?.kind !== "directory") return [];
  return attempt("list", directory, runtime.fileSystem.list(directory));
}

function relative(layout: Layout, runtime: DiskRuntime, path: string): string {
  const inside = runtime.fileSystem.join(layout.root, "x").length - 1;
  return path.startsWith(layout.root) ? path.slice(inside) : path;
}
