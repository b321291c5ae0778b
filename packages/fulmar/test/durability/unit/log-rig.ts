import { expect } from "vitest";
import type { FileHandle, Runtime } from "../../../src/base/runtime/interface.js";
import { nodeChecksum } from "../../../src/base/runtime/node/checksum.js";
import type { LogObserver } from "../../../src/durability/commit-log.js";
import { type LogSegment, LogSegments } from "../../../src/durability/log-segments.js";
import { LogWriter } from "../../../src/durability/log-writer.js";
import type { LogWriterParts } from "../../../src/durability/log-writer-parts.js";
import {
  RECORD_HEAD_BYTES,
  readRecordHead,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from "../../../src/durability/segment-format.js";
import type { PreparedSegment, SegmentPool } from "../../../src/durability/segment-pool.js";
import { OriginTable } from "../../../src/record/origins.js";

/** Bytes of a record around its commit, while no origin is known. */
export const OVERHEAD_BYTES = recordBytes(4);

const AT_BEGIN = SEGMENT_HEADER_BYTES + 60;

/** A file whose operations off the event loop end when a test says so, and which keeps what was written. */
export class ManualFile {
  readonly path: string;
  bytes = new Uint8Array(0);
  readonly calls: string[] = [];
  /** What the next writes do: so many bytes, or an error. */
  readonly writes: (number | Error)[] = [];
  syncNowError: Error | undefined;
  closes = 0;
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(path: string) {
    this.path = path;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Ends the oldest operation under way, well or with an error, and lets what follows run. */
  async finish(error?: Error): Promise<void> {
    const [first] = this.#waiting.splice(0, 1);
    if (error === undefined) first.resolve();
    else first.reject(error);
    await settled();
  }

  get handle(): FileHandle {
    const begin = (call: string): Promise<void> => {
      this.calls.push(call);
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    };
    return {
      path: this.path,
      writeNow: (bytes: Uint8Array, position: number) => this.#write(bytes, position),
      syncData: () => begin("sync"),
      syncDataNow: () => {
        this.calls.push("syncNow");
        if (this.syncNowError !== undefined) throw this.syncNowError;
      },
      truncate: (sizeBytes: number) => begin(`truncate ${sizeBytes}`),
      close: async () => {
        this.closes++;
      },
    } as unknown as FileHandle;
  }

  #write(bytes: Uint8Array, position: number): number {
    const [plan] = this.writes.splice(0, 1);
    if (plan instanceof Error) {
      this.calls.push("write fails");
      throw plan;
    }
    const count = Math.min(plan ?? bytes.length, bytes.length);
    this.calls.push(`write ${count} at ${position}`);
    const grown = new Uint8Array(Math.max(this.bytes.length, position + count));
    grown.set(this.bytes);
    grown.set(bytes.subarray(0, count), position);
    this.bytes = grown;
    return count;
  }
}

/** Lets every promise continuation that is ready run. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

interface ManualTimer {
  readonly delayMs: number;
  readonly dueMs: number;
  readonly task: () => void;
  readonly background: boolean;
  cancelled: boolean;
  ran: boolean;
}

/** A log with everything around it moved by hand. */
export class LogRig {
  readonly events: string[] = [];
  readonly errors: Error[] = [];
  readonly timers: ManualTimer[] = [];
  readonly file = new ManualFile("/log/1");
  readonly segments: LogSegments;
  readonly origins = new OriginTable();
  readonly log: LogWriter;
  /** The next segment, once it is prepared. */
  prepared: PreparedSegment | undefined;
  prepares = 0;
  nowMs = 0;
  /** What whoever waits for a prepared segment waits for. */
  preparing: Promise<void> = Promise.resolve();
  /** Called with each event, as the committer would be. */
  onEvent: ((event: string) => void) | undefined;
  readonly #tasks: (() => void)[] = [];
  readonly #turns: (() => void)[] = [];

  constructor(
    parts: Partial<LogWriterParts> & { readonly capacity?: number; readonly position?: number } = {},
  ) {
    const { capacity = 1 << 20, position = AT_BEGIN, ...others } = parts;
    this.segments = new LogSegments(this.#runtime(), [
      segment(1, this.file.handle, { capacity, position, base: 10 }),
    ]);
    this.log = new LogWriter({
      runtime: this.#runtime(),
      origins: this.origins,
      segments: this.segments,
      pool: this.#pool(),
      observer: this.#observer(),
      flush: { intervalMs: 1000, commits: 1000, bytes: 1 << 30 },
      presence: { isDue: false, look: async () => undefined },
      inlineSync: false,
      segmentBytes: capacity,
      end: { segment: 1, position, crc: 7, version: 10 },
      ...others,
    });
  }

  get scheduled(): number {
    return this.#tasks.length;
  }

  put(version: number, lengthBytes = 10): void {
    const space = this.log.begin(version, lengthBytes);
    space.bytes.fill(version & 255, space.at, space.at + lengthBytes);
    this.log.end();
  }

  /** Runs what waits for the end of the present work. */
  turn(): void {
    for (const task of this.#tasks.splice(0)) task();
    for (const resolve of this.#turns.splice(0)) resolve();
  }

  /** Lets time pass, and timers end in the order in which they are due. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    const due = (): ManualTimer[] =>
      this.timers
        .filter(({ cancelled, ran, dueMs }) => !cancelled && !ran && dueMs <= endMs)
        .sort((one, other) => one.dueMs - other.dueMs);
    for (let [first] = due(); first !== undefined; [first] = due()) {
      this.nowMs = first.dueMs;
      first.ran = true;
      first.task();
    }
    this.nowMs = endMs;
  }

  /** What was reported since the last call. */
  heard(): string[] {
    return this.events.splice(0);
  }

  /** Puts, and sees the commits synced. */
  async save(...versions: number[]): Promise<void> {
    for (const version of versions) this.put(version);
    this.log.want("synced");
    this.turn();
    await this.file.finish();
    expect(this.log.synced).toBe(versions.at(-1));
    this.heard();
    this.file.calls.length = 0;
  }

  prepare(number: number, capacity = 1 << 20): ManualFile {
    const file = new ManualFile(`/log/${number}`);
    const salt = new Uint8Array(8).fill(number);
    this.prepared = { number, path: file.path, handle: file.handle, salt, capacity };
    return file;
  }

  /** Versions of the records of a file, each with what it calls synced. */
  records(
    file: ManualFile,
    from: number,
    number = 1,
  ): { version: number; synced: number; predecessor: number }[] {
    const salt = new Uint8Array(8).fill(number);
    const list: { version: number; synced: number; predecessor: number }[] = [];
    for (let at = from; at + RECORD_HEAD_BYTES <= file.bytes.length; ) {
      const head = readRecordHead(nodeChecksum, file.bytes, at, salt);
      if (head === undefined) break;
      list.push({ version: head.version, synced: head.syncedThrough, predecessor: head.predecessorCrc });
      at += recordBytes(head.payloadLength);
    }
    return list;
  }

  #runtime(): Runtime {
    return {
      clock: { monotonicMs: () => this.nowMs, wallMs: () => 0 },
      checksum: nodeChecksum,
      timers: {
        soon: (task: () => void) => this.#tasks.push(task),
        turn: () => new Promise<void>((resolve) => this.#turns.push(resolve)),
        after: (delayMs: number, task: () => void, options?: { readonly background?: boolean }) => {
          const dueMs = this.nowMs + delayMs;
          const background = options?.background === true;
          const timer = { delayMs, dueMs, task, background, cancelled: false, ran: false };
          this.timers.push(timer);
          return { cancel: () => (timer.cancelled = true) };
        },
      },
      diagnostics: { emit: (event: string) => this.#hear(event) },
    } as unknown as Runtime;
  }

  #pool(): SegmentPool {
    const rig = this;
    return {
      get ready() {
        return rig.prepared !== undefined;
      },
      take: () => {
        const { prepared } = rig;
        rig.prepared = undefined;
        return prepared;
      },
      prepare: () => rig.prepares++,
      prepared: async () => {
        rig.prepares++;
        await rig.preparing;
      },
    } as unknown as SegmentPool;
  }

  #observer(): LogObserver {
    const hearError = (event: string, error: Error): void => {
      this.errors.push(error);
      this.#hear(event);
    };
    return {
      logged: (version, tellable) => this.#hear(`logged ${version}${heldAfter(version, tellable)}`),
      synced: (version, tellable) => this.#hear(`synced ${version}${heldAfter(this.log.logged, tellable)}`),
      refused: (version, error) => hearError(`refused ${version}`, error),
      refusalDurable: () => this.#hear("refusal durable"),
      failed: (error) => hearError("failed", error),
    };
  }

  #hear(event: string): void {
    this.events.push(event);
    this.onEvent?.(event);
  }
}

/** What is said when not everything that is logged may be told of. */
function heldAfter(logged: number, tellable: number): string {
  return tellable === logged ? "" : `, told up to ${tellable}`;
}

export function segment(
  number: number,
  handle: FileHandle | undefined,
  fields: Partial<LogSegment> = {},
): LogSegment {
  const position = fields.position ?? AT_BEGIN;
  return {
    number,
    path: `/log/${number}`,
    salt: new Uint8Array(8).fill(number),
    handle,
    base: 0,
    position,
    syncedPosition: position,
    capacity: 1 << 20,
    ...fields,
  };
}

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export const FIRST_AT = AT_BEGIN;
