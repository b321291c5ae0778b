import { expect, vi } from "vitest";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { type MemoryEngine, NONE, type Ref } from "../../../src/memory/engine.js";
import { Arena } from "../../../src/memory/offheap/arena.js";
import type { SharingBounds } from "../../../src/memory/shared/sharing.js";
import { ascii } from "../fixtures.js";
import { SMALL } from "../offheap/shapes.js";
import { Owner, SteppedReader } from "./fixture.js";

const SHAPE = { ...SMALL, slabBytes: 4096 };
export const KEYS = Array.from({ length: 1000 }, (_, i) => ascii(`${"p".repeat(i % 50)} ${i}`));
export const SEEDS = [3, 5, 8, 13, 21, 34, 55, 89];

const { give, release } = Arena.prototype;

/** Has whatever may be used again be overwritten at once; but for the first word, where free cells are chained. */
function overwriteFree(): void {
  const overwriting = (free: (ref: Ref) => void, isFreed: (arena: Arena) => boolean) =>
    function overwrite(this: Arena, ref: Ref): void {
      const bytes = this.slabs.bytes[ref >>> this.slabs.slabShift];
      const [from, size] = [this.slabs.byteAt(ref), this.sizeOf(ref)];
      free.call(this, ref);
      if (isFreed(this)) bytes.fill(0xff, from + 4, from + size);
    };
  vi.spyOn(Arena.prototype, "give").mockImplementation(overwriting(give, ({ defer }) => defer === undefined));
  vi.spyOn(Arena.prototype, "release").mockImplementation(overwriting(release, () => true));
}

/** An owner with 1000 keys. */
export function setUp(seed: number, bounds: SharingBounds = {}): Owner {
  overwriteFree();
  const owner = new Owner({ seed, shape: SHAPE, keys: KEYS, bounds });
  owner.fill([40, 100, 200]);
  return owner;
}

/** Bytes of all slabs. */
export function allocated({ sharing }: Owner): number {
  return [...sharing.buffers.buffers("slab").values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A copy of what is in the chunks of nodes. */
export function nodeWords({ sharing }: Owner): Map<number, Uint32Array> {
  return new Map(
    [...sharing.buffers.buffers("chunk")].map(([chunk, buffer]) => [chunk, new Uint32Array(buffer).slice()]),
  );
}

export function vacuumAll({ engine }: Owner): void {
  for (let steps = 0; engine.vacuum(50); steps++) expect(steps).toBeLessThan(10_000);
}

/** Has a reader stay at a state that is pinned for it; what that shows. */
export function stay(owner: Owner, reader: SteppedReader): string[] {
  reader.refresh();
  const state = owner.state();
  owner.commit(1, 0, [40]);
  owner.settle();
  return state;
}

/** An owner that deleted nine keys of ten, then a reader that stays: what it shows, and what memory was taken then. */
export function setUpBehindDeletions(
  seed: number,
  bounds: SharingBounds = {},
): {
  owner: Owner;
  reader: SteppedReader;
  state: string[];
  before: number;
} {
  const owner = setUp(seed, bounds);
  const reader = new SteppedReader(owner.sharing);
  owner.deleteMost();
  const state = stay(owner, reader);
  return { owner, reader, state, before: allocated(owner) };
}

/** Has `probe` run before and after each call of a method. */
export function probed(prototype: object, name: string, probe: () => void): () => void {
  const original = Reflect.get(prototype, name) as (...values: unknown[]) => unknown;
  Reflect.set(prototype, name, function (this: unknown, ...values: unknown[]) {
    probe();
    const result = original.apply(this, values);
    probe();
    return result;
  });
  return () => Reflect.set(prototype, name, original);
}

export function refsAt(engine: MemoryEngine, version: number): Ref[] {
  const refs: Ref[] = [];
  const cursor = engine.scan(ALL_KEYS, version, false);
  for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) refs.push(ref);
  return refs;
}

export function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
