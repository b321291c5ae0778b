import { afterEach, describe, expect, it, vi } from "vitest";
import { fromHex } from "../../../src/base/bytes.js";
import { codeOf } from "../../../src/base/errors.js";
import { ALL_KEYS } from "../../../src/keys/range.js";
import { NONE } from "../../../src/memory/engine.js";
import { Arena } from "../../../src/memory/offheap/arena.js";
import { HEADS } from "../../../src/memory/offheap/key-node-layout.js";
import { KeyNodes } from "../../../src/memory/offheap/key-nodes.js";
import { Records } from "../../../src/memory/offheap/records.js";
import { keyOf } from "../../../src/record/entry.js";
import {
  allocated,
  caught,
  KEYS,
  nodeWords,
  probed,
  refsAt,
  SEEDS,
  setUp,
  setUpBehindDeletions,
  stay,
  vacuumAll,
} from "./compaction-fixture.js";
import { SteppedReader } from "./fixture.js";

const REVERSE = true;

afterEach(() => {
  vi.restoreAllMocks();
});

describe("memory that other threads can read", () => {
  it("comes back after deletions when nobody reads it", () => {
    for (const seed of SEEDS) {
      const owner = setUp(seed);
      owner.deleteMost();
      const before = allocated(owner);
      vacuumAll(owner);
      owner.engine.verify();
      expect(owner.moves).toBeGreaterThan(0);
      expect(allocated(owner)).toBeLessThan(before / 2);
    }
  });

  it("comes back although a reader stays at a state, which it goes on to see", () => {
    for (const seed of SEEDS) {
      const { owner, reader, state, before } = setUpBehindDeletions(seed);
      vacuumAll(owner);
      owner.engine.verify();
      expect(owner.moves).toBeGreaterThan(0);
      expect(allocated(owner)).toBeLessThan(before / 2);
      expect(reader.scan(ALL_KEYS, false)).toEqual(state);
      expect(reader.scan(ALL_KEYS, REVERSE)).toEqual(state.toReversed());
    }
  });

  it("comes back a round at a time, however little goes out of reach in it", () => {
    const { owner } = setUpBehindDeletions(SEEDS[0], { stepBytes: 1 << 14 });
    const before = allocated(owner);
    vacuumAll(owner);
    owner.engine.verify();
    expect(allocated(owner)).toBeLessThan(before / 2);
  });

  it("is not looked for where it only waits for the end of a read", () => {
    const owner = setUp(SEEDS[0]);
    const reader = new SteppedReader(owner.sharing);
    const retired = vi.spyOn(Arena.prototype, "retire");
    const shown = reader.scanAround(() => {
      for (let i = 0; i < 20; i++) owner.fill([40, 100, 200]);
      // The reader stays at what is replaced first; the rest waits for no pin.
      while (owner.engine.vacuum(50));
      expect(owner.sharing.waiting.cells).toBeGreaterThan(10 * KEYS.length);
    });
    expect(shown.length).toBe(KEYS.length);
    expect(retired).not.toHaveBeenCalled();
    owner.engine.verify();
  });

  it("is not taken from under a read that found its way to it before", () => {
    let moved = 0;
    for (const seed of SEEDS) {
      const { owner, reader, state } = setUpBehindDeletions(seed);
      const moves = owner.moves;
      const found = reader.scanAround(() => {
        vacuumAll(owner);
        // Uses whatever is free.
        for (let i = 0; i < 40; i++) owner.commit(4, 0, [40, 100, 200]);
        owner.settle();
        owner.engine.verify();
      });
      expect(found).toEqual(state);
      moved += owner.moves - moves;
    }
    expect(moved).toBeGreaterThan(50);
  });

  it("shows a reader what it stays at, whatever is moved between any two of its steps", () => {
    const separators = vi.spyOn(KeyNodes.prototype, "moveSeparator");
    for (const seed of SEEDS) {
      const { owner, reader, state } = setUpBehindDeletions(seed);
      let steps = 0;
      reader.view.stepper = {
        step: () => {
          if (++steps % 3 === 0) owner.engine.vacuum(1);
          // What was moved is overwritten as soon as it may be.
          if (steps % 40 === 0) owner.commit(1, 0, [40, 100]);
          if (steps % 80 === 0) owner.settle();
        },
      };
      for (let scans = 0; owner.moves < 20; scans++) {
        expect(scans).toBeLessThan(100);
        expect(reader.scan(ALL_KEYS, false)).toEqual(state);
        expect(reader.scan(ALL_KEYS, REVERSE)).toEqual(state.toReversed());
      }
      reader.view.stepper = undefined;
      owner.engine.verify();
    }
    expect(separators.mock.calls.length).toBeGreaterThan(20);
  });

  it("shows a reader what it stays at, wherever it stands when everything is moved", () => {
    let moved = 0;
    for (let moment = 0; moment < 60; moment++) {
      const { owner, reader, state } = setUpBehindDeletions(SEEDS[moment % SEEDS.length]);
      const before = owner.moves;
      let left = moment;
      reader.view.stepper = { step: () => left-- === 0 && vacuumAll(owner) };
      const index = Math.floor((moment * state.length) / 60);
      const key = keyOf(fromHex(state[index].split(" ")[1]) ?? new Uint8Array(), 0);
      expect(reader.find(key)).toBe(state[index]);
      if (left < 0) moved += owner.moves - before;
    }
    expect(moved).toBeGreaterThan(100);
  });

  it("shows a reader what it stays at, between any two steps of a move", () => {
    const { owner, reader, state } = setUpBehindDeletions(SEEDS[0]);
    let probes = 0;
    const probe = (): void => {
      probes++;
      expect(reader.scan(ALL_KEYS, false)).toEqual(state);
    };
    const originals = [
      [KeyNodes.prototype, ["publishRef", "setRef", "moveSeparator", "freeSeparator"]],
      [Records.prototype, ["copy", "vacate"]],
      [Arena.prototype, ["take", "give", "release", "retire", "restore"]],
    ] as const;
    const undo = originals.flatMap(([prototype, names]) =>
      names.map((name) => probed(prototype, name, probe)),
    );
    try {
      for (let steps = 0; owner.engine.vacuum(4) && steps < 400; steps++);
    } finally {
      for (const restore of undo) restore();
    }
    expect(owner.moves).toBeGreaterThan(50);
    expect(probes).toBeGreaterThan(500);
    owner.engine.verify();
  });

  it("is not moved so fast that a read would be taken back for it", () => {
    const { owner, reader } = setUpBehindDeletions(SEEDS[0], { limboBytesMax: 1000 });
    let [reads, waiting] = [0, 0];
    reader.session.read(() => {
      reads++;
      for (let steps = 0; steps < 1000; steps++) owner.engine.vacuum(1);
      waiting = owner.sharing.waiting.bytes;
    });
    expect([reads, waiting > 500, waiting < 1000]).toEqual([1, true, true]);
    const { moves } = owner;
    vacuumAll(owner);
    expect(owner.moves).toBeGreaterThan(moves);
    owner.engine.verify();
  });

  it("is exchanged in single atomic stores", () => {
    const { owner } = setUpBehindDeletions(SEEDS[0]);
    const { store } = Atomics;
    /** Where stores to nodes went. */
    const stored = new Set<string>();
    const chunks = owner.sharing.buffers.buffers("chunk");
    const noted = (words: Uint32Array, at: number, value: number): number => {
      for (const [chunk, buffer] of chunks) if (buffer === words.buffer) stored.add(`${chunk} ${at}`);
      return store(words, at, value);
    };
    vi.spyOn(Atomics, "store").mockImplementation(noted as typeof store);
    let [moves, changed] = [0, 0];
    for (let more = true; more; ) {
      const before = nodeWords(owner);
      const movesBefore = owner.moves;
      stored.clear();
      more = owner.engine.vacuum(1);
      for (const [chunk, words] of nodeWords(owner)) {
        const old = before.get(chunk);
        for (const [at, word] of words.entries()) {
          if (word === old?.[at]) continue;
          changed++;
          expect(stored).toContain(`${chunk} ${at}`);
        }
      }
      moves += owner.moves - movesBefore;
    }
    expect(moves).toBeGreaterThan(20);
    // Separators were moved as well, and tombstones.
    expect(changed).toBeGreaterThan(moves);
  });

  it("is found by atomic loads", () => {
    const owner = setUp(SEEDS[0]);
    const reader = new SteppedReader(owner.sharing);
    const plain = new Set<number>();
    reader.view.readPlainly = (word) => plain.add(word);
    const state = owner.state();
    expect(reader.scan(ALL_KEYS, false)).toEqual(state);
    expect(reader.scan(ALL_KEYS, REVERSE)).toEqual(state.toReversed());
    for (const key of KEYS) expect(reader.find(key)).not.toBe("none");
    const { leafMax, innerMax } = owner.sharing.layout;
    expect(leafMax).toBe(innerMax);
    const words = [...plain].sort((a, b) => a - b);
    expect(words).toContain(HEADS + leafMax - 1);
    // Behind the heads are references and children.
    expect(words.filter((word) => word >= HEADS + leafMax)).toEqual([]);
  });

  it("comes back in the end when a reader stands still in the middle of a read", () => {
    for (const seed of SEEDS) {
      const { owner, reader, state, before } = setUpBehindDeletions(seed);
      let [between, waiting] = [0, 0];
      const found = reader.scanAround(() => {
        // The owner does not wait for it for ever.
        vacuumAll(owner);
        owner.engine.verify();
        between = allocated(owner);
        waiting = owner.sharing.waiting.cells;
      });
      expect(found).toEqual(state);
      expect(owner.moves).toBeGreaterThan(0);
      expect(waiting).toBeGreaterThan(0);
      owner.commit(1, 0, [40]);
      owner.settle();
      vacuumAll(owner);
      owner.engine.verify();
      expect(allocated(owner)).toBeLessThan(between);
      expect(allocated(owner)).toBeLessThan(before / 2);
    }
  });

  it("comes back when a reader is let go of that died in the middle of a read", () => {
    const owner = setUp(SEEDS[1]);
    const [reader, other] = [new SteppedReader(owner.sharing), new SteppedReader(owner.sharing)];
    owner.deleteMost();
    stay(owner, other);
    stay(owner, reader);
    const before = allocated(owner);
    const after: number[] = [];
    const failure = caught(() =>
      reader.session.read(() => {
        vacuumAll(owner);
        after.push(owner.moves, owner.sharing.waiting.cells);
        owner.sharing.detach(reader.attached);
        stay(owner, other);
        vacuumAll(owner);
        after.push(owner.sharing.waiting.cells, allocated(owner));
      }),
    );
    expect(codeOf(failure)).toBe("REVOKED");
    const [moves, waiting, waitingAfter, allocatedAfter] = after;
    expect(moves).toBeGreaterThan(0);
    expect(waiting).toBeGreaterThan(0);
    expect(waitingAfter).toBe(0);
    expect(allocatedAfter).toBeLessThan(before / 2);
    other.refresh();
    expect(other.scan(ALL_KEYS, false)).toEqual(owner.state());
    owner.engine.verify();
  });

  it("stays where it is for a pin of the owner's own thread, whatever readers pin", () => {
    const owner = setUp(SEEDS[2]);
    const { engine } = owner;
    const reader = new SteppedReader(owner.sharing);
    owner.deleteMost();
    stay(owner, reader);
    const pin = engine.pin(engine.version);
    const refs = refsAt(engine, pin.version);
    const retired = vi.spyOn(Arena.prototype, "retire");
    stay(owner, reader);
    vacuumAll(owner);
    expect(refsAt(engine, pin.version)).toEqual(refs);
    const { length: tried } = retired.mock.calls;
    expect(tried).toBeGreaterThan(0);
    for (let i = 0; i < 5; i++) {
      // The reader's pin goes, but it was not that which kept anything where it is.
      stay(owner, reader);
      vacuumAll(owner);
    }
    expect(retired.mock.calls.length).toBe(tried);
    expect(refsAt(engine, pin.version)).toEqual(refs);
    pin.release();
    vacuumAll(owner);
    expect(retired.mock.calls.length).toBeGreaterThan(tried);
    expect(refsAt(engine, engine.version)).not.toEqual(refs);
    engine.verify();
  });

  it("lets no cursor go on that only a reader's pin keeps", () => {
    const owner = setUp(SEEDS[3]);
    const { engine } = owner;
    const reader = new SteppedReader(owner.sharing);
    const { version } = reader;
    const pin = engine.pin(version);
    const cursor = engine.scan(ALL_KEYS, version, false);
    stay(owner, reader);
    expect(cursor.next()).not.toBe(NONE);
    pin.release();
    owner.commit(1, 0, [40]);
    expect(() => cursor.next()).toThrow("only if its version is pinned");
  });
});
