import { createHash } from "node:crypto";
import { type MemoryEngine, NONE } from "../../../packages/fulmar/dist/memory/engine.js";
import { createEngine } from "../../../packages/fulmar/dist/memory/offheap/engine.js";
import {
  entryBytes,
  entryLength,
  TOMBSTONE,
  writeEntry,
} from "../../../packages/fulmar/dist/record/entry.js";
import type { MeasuredTarget, Usage } from "./target.js";

/** Commits that are under way at once, as when a log is slower than memory. */
const UNSETTLED = 8;
/** What one turn of the event loop does of the work that was put off. */
const VACUUM_RECORDS = 1024;

/** The memory engine by itself, one commit for each change. */
export class EngineTarget implements MeasuredTarget {
  readonly #engine: MemoryEngine = createEngine({ hash, secret: [0x12345678, 0x9abcdef0] });
  readonly #values: Uint8Array;
  readonly #entry: Uint8Array;
  readonly #encoder = new TextEncoder();

  constructor(valueBytesMax: number) {
    this.#values = new Uint8Array(valueBytesMax).fill(7);
    this.#entry = new Uint8Array(entryBytes(64, valueBytesMax, 0));
  }

  set(slot: number, sizeBytes: number): void {
    this.#put(slot, this.#values.subarray(0, sizeBytes), 0);
  }

  delete(slot: number): void {
    this.#put(slot, this.#values.subarray(0, 0), TOMBSTONE);
  }

  hold(): () => void {
    const pin = this.#engine.pin(this.#engine.version);
    return () => pin.release();
  }

  async turn(): Promise<void> {
    this.#engine.vacuum(VACUUM_RECORDS);
  }

  usage(): Usage {
    const { recordBytes, overheadBytes, oldVersions } = this.#engine.usage();
    return { bytes: recordBytes + overheadBytes, recordBytes, oldVersions };
  }

  /** Lets go of what is left, checks every structure, and that each slot has the value that it should have. */
  async check(sizes: Int32Array): Promise<void> {
    const engine = this.#engine;
    engine.settle(engine.version);
    while (engine.vacuum(VACUUM_RECORDS));
    engine.verify();
    for (const [slot, size] of sizes.entries()) {
      const key = this.#key(slot);
      const ref = engine.find(key, Number.MAX_SAFE_INTEGER);
      const found =
        ref === NONE ? -1 : entryLength(engine.slab(ref), engine.offset(ref)) - entryBytes(key.length, 0, 0);
      if (found !== size) throw new Error(`slot ${slot} has ${found} bytes instead of ${size}`);
    }
  }

  async close(): Promise<void> {}

  #put(slot: number, value: Uint8Array, flags: number): void {
    const engine = this.#engine;
    const version = engine.version + 1;
    const key = this.#key(slot);
    const fields = { flags, origin: 1, hlc: version, seq: version, deadline: 0, valueChecksum: 1 };
    writeEntry(this.#entry, 0, { ...fields, key, value });
    engine.put(version, this.#entry, 0, entryBytes(key.length, value.length, flags));
    engine.settle(Math.max(engine.settled, version - UNSETTLED));
  }

  #key(slot: number): Uint8Array {
    return this.#encoder.encode(churnKey(slot));
  }
}

/** Keys of different lengths, most of which share their beginning. */
export function churnKey(slot: number): string {
  return `churn:${slot.toString(36).padStart(6 + (slot % 11) * 3, "0")}`;
}

function hash(bytes: Uint8Array, at: number, into: Uint32Array): void {
  const sum = createHash("sha256")
    .update(bytes.subarray(at, at + entryLength(bytes, at)))
    .digest();
  for (let i = 0; i < into.length; i++) into[i] = sum.readUInt32LE(4 * i);
}
