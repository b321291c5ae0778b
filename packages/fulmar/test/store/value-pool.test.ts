import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Codec,
  type OpenOptions,
  open,
  openReader,
  type SharedReader,
  type Store,
  type Transaction,
} from "../../src/index.js";
import { ValuePool } from "../../src/store/value-pool.js";

/** Values of these sizes lie in chunks. */
const POOLED_MIN = 65;
const POOLED_MAX = 1024;
const CHUNK_BYTES = 8192;

const KEYS = ["a", "b", "c", "d", "e", "f"];

function filled(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 37 + i * 11) | 1);
}

function bytesStore(options: OpenOptions<Uint8Array> = {}): Promise<Store<Uint8Array>> {
  return open<Uint8Array>(undefined, { codec: "bytes", ...options });
}

async function filledStore(sizes: readonly number[]): Promise<Store<Uint8Array>> {
  const db = await bytesStore();
  for (const [i, size] of sizes.entries()) void db.set(i, filled(size, i));
  return db;
}

/** What was handed out, and what it was then. */
interface Taken {
  readonly owner: object;
  readonly value: Uint8Array;
  readonly was: Uint8Array;
}

/** One thing that was done, of whatever gives values. */
type Step = readonly [kind: number, key: number, size: number];
type Source = Pick<SharedReader<Uint8Array>, "get" | "entry" | "list" | "values">;

const steps = fc.array(fc.tuple(fc.nat(8), fc.nat(KEYS.length - 1), fc.nat(1100)), {
  minLength: 40,
  maxLength: 120,
});

class Readings {
  readonly taken: Taken[] = [];

  keep(owner: object, ...values: readonly (Uint8Array | undefined)[]): void {
    for (const value of values)
      if (value !== undefined) this.taken.push({ owner, value, was: copyOf(value) });
  }

  readFrom(source: Source, [kind, key]: Step, owner: object = source): void {
    if (kind % 4 === 0) this.keep(owner, source.get(KEYS[key]));
    else if (kind % 4 === 1) this.keep(owner, source.entry(KEYS[key])?.value);
    else if (kind % 4 === 2) this.keep(owner, ...source.values({ gte: KEYS[key] }));
    else for (const { value } of source.list({ reverse: true, limit: key })) this.keep(owner, value);
  }

  /** Nothing changed, nothing lies in another, and nobody has a buffer in common with another owner. */
  check(): void {
    const owners = new Map<ArrayBufferLike, object>();
    const places = new Map<ArrayBufferLike, Uint8Array[]>();
    for (const { owner, value, was } of this.taken) {
      // Without the machinery of matchers, of which there would be many thousands.
      if (Buffer.compare(value, was) !== 0) expect(value).toEqual(was);
      if (owners.has(value.buffer) && owners.get(value.buffer) !== owner)
        expect.fail("owners share a buffer");
      owners.set(value.buffer, owner);
      places.set(value.buffer, places.get(value.buffer)?.concat([value]) ?? [value]);
    }
    for (const values of places.values()) expectApart(values);
  }
}

function copyOf(value: Uint8Array): Uint8Array {
  return new Uint8Array(value);
}

function expectApart(values: readonly Uint8Array[]): void {
  const ordered = values.toSorted((a, b) => a.byteOffset - b.byteOffset);
  for (const [i, value] of ordered.entries()) {
    const end = value.byteOffset + value.byteLength;
    if (end > (ordered[i + 1]?.byteOffset ?? value.buffer.byteLength)) expect.fail("values overlap");
  }
}

describe("byte values that are read", () => {
  test("never change, and share nothing with other stores and readers, however all of that is mixed", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        await using db = await bytesStore({ shared: true });
        await using other = await bytesStore();
        await using reader = await openReader<Uint8Array>(db.readerHandle(), { codec: "bytes" });
        const readings = new Readings();
        for (const [i, step] of program.entries()) {
          const [kind, key, size] = step;
          if (kind === 0) await Promise.all([db, other].map((each) => each.set(KEYS[key], filled(size, i))));
          else if (kind === 1) void db.delete(KEYS[key]);
          else if (kind === 2) readings.keep(db, ...db.getMany(KEYS));
          else if (kind === 3) reader.refresh();
          else if (kind === 4) {
            using snapshot = db.snapshot();
            void db.set(KEYS[key], filled(size, i));
            readings.readFrom(snapshot, [i, key, size], db);
          } else if (kind === 5) {
            const read = (tx: Transaction<Uint8Array>): Uint8Array | undefined => tx.get(KEYS[key]);
            readings.keep(db, await db.transact(read));
          } else if (kind === 6) readings.readFrom(reader, [i, key, size]);
          else if (kind === 7) readings.readFrom(db, [i, key, size]);
          else readings.readFrom(other, [i, key, size]);
        }
        readings.check();
      }),
      { numRuns: 40 },
    );
  });

  test("lie in chunks from 65 bytes to 1 KiB, at multiples of eight, with zeros between them", async () => {
    const sizes = Array.from({ length: 1100 }, (_, i) => i);
    await using db = await filledStore(sizes);
    const chunks = new Map<ArrayBufferLike, Uint8Array[]>();
    for (const size of sizes) {
      const value = db.get(size) as Uint8Array;
      expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
      expect(sum(value)).toBe(sum(filled(size, size)));
      const { buffer, byteOffset } = value;
      if (size < POOLED_MIN || size > POOLED_MAX) expect([byteOffset, buffer.byteLength]).toEqual([0, size]);
      else {
        expect([byteOffset % 8, buffer.byteLength]).toEqual([0, CHUNK_BYTES]);
        chunks.set(buffer, [...(chunks.get(buffer) ?? []), value]);
      }
    }
    for (const [chunk, values] of chunks) {
      const whole = new Uint8Array(chunk);
      expect(sum(whole)).toBe(values.map(sum).reduce((a, b) => a + b));
    }
    // In none but the last is more free than the longest value takes.
    const bytes = sizes.filter((size) => size >= POOLED_MIN && size <= POOLED_MAX).reduce((a, b) => a + b);
    expect(chunks.size).toBeLessThanOrEqual(Math.ceil(bytes / (CHUNK_BYTES - POOLED_MAX)));
  });

  test("are copied whole, and nothing beside them, wherever they lie and whatever their length", () => {
    const pool = new ValuePool({ withhold: () => undefined });
    const memory = filled(1 << 11, 3);
    const words = new Uint32Array(memory.buffer);
    for (let length = 60; length < 300; length++) {
      // Up to the very end of the memory, too.
      for (const from of [8, 9, 10, 11, 12, memory.length - length]) {
        for (const source of [words, undefined]) {
          const value = pool.copy(memory, from, from + length, source);
          if (Buffer.compare(value, memory.subarray(from, from + length)) !== 0) {
            expect.fail(`${length} bytes from ${from} on`);
          }
          const rest = new Uint8Array(value.buffer, value.byteOffset + length);
          expect(rest.every((byte) => byte === 0)).toBe(true);
        }
      }
    }
  });

  test("are each on their own: to change one changes no other, and nothing that is stored", async () => {
    await using db = await filledStore(Array.from({ length: 50 }, (_, i) => 40 + i * 25));
    const values = Array.from({ length: 50 }, (_, i) => db.get(i) as Uint8Array);
    for (const value of values) value.fill(0x99);
    for (const [i, value] of values.entries()) {
      expect(value).toEqual(new Uint8Array(40 + i * 25).fill(0x99));
      expect(db.get(i)).toEqual(filled(40 + i * 25, i));
    }
  });

  test("stay where they are when one is transferred", async () => {
    await using db = await filledStore([100, 200, 300]);
    await using shared = await bytesStore({ shared: true });
    await shared.batch(
      [0, 1, 2].map((i) => ({ type: "set", key: i, value: filled(100 * (i + 1), i) }) as const),
    );
    await using reader = await openReader<Uint8Array>(shared.readerHandle(), { codec: "bytes" });
    for (const source of [db, shared, reader]) {
      const values = [0, 1, 2].map((i) => source.get(i) as Uint8Array);
      expect(new Set(values.map(({ buffer }) => buffer)).size).toBe(1);
      for (const value of values) {
        const transfer = [value.buffer as ArrayBuffer];
        // Node 20 copies what cannot be transferred; later versions refuse it.
        const clone = attempt(() => structuredClone(value, { transfer }));
        if (clone !== undefined) expect(clone).toEqual(value);
      }
      expect(values).toEqual([0, 1, 2].map((i) => filled(100 * (i + 1), i)));
    }
  });

  test("are cloned with one chunk at most, and alone after slice", async () => {
    await using db = await filledStore([100, 1024, 3000]);
    const sizes = [0, 1, 2].map((i) => structuredClone(db.get(i) as Uint8Array).buffer.byteLength);
    expect(sizes).toEqual([CHUNK_BYTES, CHUNK_BYTES, 3000]);
    expect(structuredClone((db.get(0) as Uint8Array).slice()).buffer.byteLength).toBe(100);
  });

  test("go on to be read after somebody took a chunk away, by a stream of bytes", async () => {
    await using db = await filledStore([100, 200]);
    const taken = db.get(0) as Uint8Array;
    const stream = new ReadableStream({ type: "bytes", pull: (controller) => controller.enqueue(taken) });
    // Node 24 and later refuse that, as they do with a small Buffer of their own.
    const read = await stream
      .getReader()
      .read()
      .catch((error: Error) => error);
    if (read instanceof Error) expect(read).toBeInstanceOf(TypeError);
    else expect(read.value).toEqual(filled(100, 0));
    for (let round = 0; round < 100; round++) {
      expect([db.get(0), db.get(1)]).toEqual([filled(100, 0), filled(200, 1)]);
    }
  });

  test("have a buffer each in a store whose codec says so", async () => {
    const codec: Codec<Uint8Array> = {
      name: "apart",
      encode: (value) => value,
      decode: (bytes) => bytes.slice(),
    };
    await using db = await bytesStore({ codec });
    await db.set("k", filled(100, 1));
    expect([db.get("k")?.byteOffset, db.get("k")?.buffer.byteLength]).toEqual([0, 100]);
  });
});

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0);
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    expect((error as Error).name).toBe("DataCloneError");
    return undefined;
  }
}
