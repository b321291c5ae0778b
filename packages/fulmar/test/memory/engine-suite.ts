import { describe, expect, it } from "vitest";
import { compareBytes, equalBytes, toHex } from "../../src/base/bytes.js";
import { ALL_KEYS } from "../../src/keys/range.js";
import { addHash, equalDigests } from "../../src/memory/digest.js";
import { type EngineOptions, LATEST, type MemoryEngine, NONE } from "../../src/memory/engine.js";
import { createEntryHash } from "../../src/memory/entry-hash.js";
import { setOrigin } from "../../src/record/entry.js";
import { KEYS } from "./engine-commands.js";
import {
  ascii,
  bytesOf,
  cryptography,
  drain,
  entry,
  hash,
  keyAt,
  load,
  ORIGIN_IDS,
  ordered,
  originTable,
  put,
  read,
} from "./fixtures.js";

/** Every requirement on a memory engine, as tests; each engine runs the same. */
export function memoryEngineSuite(name: string, create: (options: EngineOptions) => MemoryEngine): void {
  const make = (): MemoryEngine => create({ hash });
  const invariant = expect.objectContaining({ code: "INVARIANT" });

  describe(`${name}: many keys`, () => {
    it("keeps thousands of keys in order through inserts, changes and deletions", () => {
      const engine = make();
      const random = sequence(20_260);
      const expected = new Map<string, Uint8Array>();
      for (let version = 1; version <= 12_000; version++) {
        const key = randomKey(random);
        const isDeletion = random(3) === 0;
        put(
          engine,
          version,
          entry(key, isDeletion ? { seq: version } : { seq: version, value: bytesOf(random(256)) }),
        );
        engine.settle(version);
        if (isDeletion) expected.delete(toHex(key));
        else expected.set(toHex(key), key);
        if (version % 3000 === 0) compareKeysOf(engine, expected);
      }
      engine.verify();
      for (const key of expected.values()) put(engine, 12_001, entry(key));
      engine.settle(12_001);
      while (engine.vacuum(1000));
      expect(engine.usage()).toMatchObject({ entries: 0, tombstones: 0, oldVersions: 0, recordBytes: 0 });
      engine.verify();
    });

    it("keeps a pinned scan right in both directions while keys around it come and go", () => {
      const engine = make();
      const key = (i: number): Uint8Array => ascii(`k${String(i).padStart(6, "0")}`);
      for (let i = 0; i < 3000; i += 2) put(engine, 1, entry(key(i), { seq: i + 1, value: bytesOf(1) }));
      engine.settle(1);
      const pin = engine.pin(1);
      const expected = drain(engine, engine.scan(ALL_KEYS, 1, false));
      const cursors = [
        { cursor: engine.scan(ALL_KEYS, 1, false), keys: expected.map((_, i) => key(2 * i)) },
        { cursor: engine.scan(ALL_KEYS, 1, true), keys: expected.map((_, i) => key(2998 - 2 * i)) },
      ];
      for (let i = 0; i < 1500; i++) {
        for (const { cursor, keys } of cursors) expect(keyAt(engine, cursor.next())).toBe(toHex(keys[i]));
        // The neighbours of both positions change, and the records just given are replaced.
        const version = i + 2;
        for (const near of [2 * i + 1, 2 * i + 2, 2999 - 2 * i, 2998 - 2 * i, 2996 - 2 * i]) {
          put(
            engine,
            version,
            entry(key(near), near % 3 === 0 ? { seq: near + 1 } : { seq: near + 1, value: bytesOf(2) }),
          );
        }
        engine.settle(version);
      }
      for (const { cursor } of cursors) expect(cursor.next()).toBe(NONE);
      expect(drain(engine, ordered(engine).byOrigin(1, 0, LATEST, 1))).toEqual(expected);
      engine.verify();
      pin.release();
      engine.verify();
      while (engine.vacuum(1000));
      engine.verify();
      expect(engine.usage().oldVersions).toBe(0);
    });
  });

  describe(`${name}: versions`, () => {
    it("lets go of replaced versions at once when they are settled and nobody holds them", () => {
      const engine = make();
      const key = ascii("counter");
      for (let version = 1; version <= 1000; version++) {
        put(engine, version, entry(key, { seq: version, value: new Uint8Array(100) }));
        engine.settle(version);
        expect(engine.usage()).toMatchObject({ entries: 1, oldVersions: 0 });
      }
      expect(engine.usage().recordBytes).toBe(entry(key, { value: new Uint8Array(100) }).length);
    });

    it("keeps exactly the versions that pins see, and lets go of each with its last pin", () => {
      const engine = make();
      const pins = [];
      for (let version = 1; version <= 9; version++) {
        put(engine, version, entry(ascii("k"), { seq: version, value: bytesOf(version) }));
        engine.settle(version);
        if (version % 3 === 0) pins.push(engine.pin(version), engine.pin(version));
      }
      expect(engine.usage().oldVersions).toBe(2);
      const [three, threeAgain, six, sixAgain] = pins;
      three.release();
      six.release();
      six.release();
      expect(engine.usage().oldVersions).toBe(2);
      expect(read(engine, engine.find(ascii("k"), 6)).at(-1)).toBe(6);
      sixAgain.release();
      expect(engine.usage().oldVersions).toBe(1);
      expect(read(engine, engine.find(ascii("k"), 3)).at(-1)).toBe(3);
      threeAgain.release();
      expect(engine.usage().oldVersions).toBe(0);
      engine.verify();
    });

    it("keeps what a rollback would need until it is settled", () => {
      const engine = make();
      put(engine, 1, entry(ascii("k"), { seq: 1, value: bytesOf(1), deadline: 50 }));
      engine.settle(1);
      put(engine, 2, entry(ascii("k"), { seq: 2, value: bytesOf(2), deadline: 10 }));
      put(engine, 3, entry(ascii("k"), { seq: 3 }));
      expect([engine.nextDeadline(), engine.usage().tombstones]).toEqual([Number.POSITIVE_INFINITY, 1]);
      engine.rollback(2);
      expect(engine.nextDeadline()).toBe(10);
      engine.rollback(1);
      expect(engine.nextDeadline()).toBe(50);
      expect(read(engine, engine.find(ascii("k"), LATEST)).at(-1)).toBe(1);
      expect(engine.version).toBe(1);
      put(engine, 2, entry(ascii("k"), { seq: 4, value: bytesOf(4) }));
      expect(read(engine, engine.find(ascii("k"), 2)).at(-1)).toBe(4);
      engine.verify();
    });

    it("lets the later of two entries of one commit for one key stay", () => {
      const engine = make();
      const key = ascii("k");
      put(engine, 1, entry(key, { seq: 1, value: bytesOf(1) }));
      put(engine, 2, entry(key, { seq: 2, value: bytesOf(2), origin: 2, deadline: 5 }));
      put(engine, 2, entry(key, { seq: 2, value: bytesOf(3), origin: 3 }));
      expect(engine.usage()).toMatchObject({ entries: 1, oldVersions: 1 });
      expect(read(engine, engine.find(key, 2)).at(-1)).toBe(3);
      expect(read(engine, engine.find(key, 1)).at(-1)).toBe(1);
      expect(drain(engine, ordered(engine).byOrigin(2, 0, LATEST, 2))).toEqual([]);
      expect(engine.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
      engine.verify();
      engine.rollback(1);
      expect(read(engine, engine.find(key, LATEST)).at(-1)).toBe(1);
      put(engine, 2, entry(ascii("new"), { seq: 2 }));
      put(engine, 2, entry(ascii("new"), { seq: 2, value: bytesOf(9) }));
      engine.rollback(1);
      expect(engine.find(ascii("new"), LATEST)).toBe(NONE);
      engine.verify();
    });

    it("treats a release after a rollback and a new pin of the same version as no release of it", () => {
      const engine = make();
      put(engine, 1, entry(ascii("k"), { value: bytesOf(1) }));
      put(engine, 2, entry(ascii("k"), { value: bytesOf(2) }));
      const dead = engine.pin(2);
      engine.rollback(1);
      put(engine, 2, entry(ascii("k"), { value: bytesOf(3) }));
      const pin = engine.pin(2);
      dead.release();
      put(engine, 3, entry(ascii("k"), { value: bytesOf(4) }));
      engine.settle(3);
      expect(read(engine, engine.find(ascii("k"), 2)).at(-1)).toBe(3);
      pin.release();
      expect(engine.usage().oldVersions).toBe(0);
    });

    it("takes the version of a settled commit without entries", () => {
      const engine = make();
      put(engine, 1, entry(ascii("k"), { value: bytesOf(1) }));
      engine.settle(5);
      expect([engine.version, engine.settled]).toEqual([5, 5]);
      engine.pin(5).release();
      engine.settle(2);
      expect(engine.settled).toBe(5);
    });

    it("refuses what would break its promises", () => {
      const engine = make();
      put(engine, 4, entry(ascii("k"), { value: bytesOf(1) }));
      expect(() => put(engine, 3, entry(ascii("k")))).toThrow(invariant);
      engine.settle(4);
      expect(() => put(engine, 4, entry(ascii("k")))).toThrow(invariant);
      expect(() => engine.rollback(3)).toThrow(invariant);
      expect(() => engine.pin(3)).toThrow(invariant);
      expect(() => engine.pin(5)).toThrow(invariant);
      expect(() => engine.load()).toThrow(invariant);
    });
  });

  describe(`${name}: tombstones`, () => {
    it("go when nobody can see what they deleted, unless they are kept", () => {
      const engine = make();
      put(engine, 1, entry(ascii("k"), { value: bytesOf(1) }));
      engine.settle(1);
      const pin = engine.pin(1);
      put(engine, 2, entry(ascii("k")));
      expect(engine.usage()).toMatchObject({ tombstones: 1, oldVersions: 1 });
      engine.settle(2);
      expect(engine.usage()).toMatchObject({ tombstones: 1, oldVersions: 1 });
      pin.release();
      expect(engine.usage()).toMatchObject({ tombstones: 0, oldVersions: 0, recordBytes: 0 });
      engine.keepTombstones = true;
      put(engine, 3, entry(ascii("k")));
      engine.settle(3);
      expect(engine.usage()).toMatchObject({ tombstones: 1, entries: 0 });
      expect(drain(engine, engine.scan(ALL_KEYS, LATEST, false)).length).toBe(1);
      engine.verify();
    });

    it("go after a rollback of what replaced them", () => {
      const engine = make();
      put(engine, 1, entry(ascii("k")));
      put(engine, 2, entry(ascii("k"), { value: bytesOf(1) }));
      engine.settle(1);
      expect(engine.usage()).toMatchObject({ entries: 1, oldVersions: 1 });
      engine.rollback(1);
      expect(engine.usage()).toMatchObject({ entries: 0, tombstones: 0, recordBytes: 0 });
      engine.verify();
    });
  });

  describe(`${name}: bulk load`, () => {
    it("gives the same engine as one put after the other, and goes on from there", () => {
      const keys = [...KEYS].sort(compareBytes);
      const [loaded, grown] = [make(), make()];
      for (const engine of [loaded, grown]) engine.keepTombstones = true;
      const loader = loaded.load();
      for (const [i, key] of keys.entries()) {
        const bytes = entry(
          key,
          i % 5 === 0 ? { seq: i + 1, origin: 2 } : { seq: i + 1, value: ascii("v"), deadline: 1000 - i },
        );
        load(loader, [i + 1, bytes]);
        put(grown, i + 1, bytes);
      }
      loader.finish(1000);
      grown.settle(1000);
      for (const reverse of [false, true]) {
        const expected = drain(grown, grown.scan(ALL_KEYS, LATEST, reverse));
        expect(drain(loaded, loaded.scan(ALL_KEYS, LATEST, reverse))).toEqual(expected);
        expect(expected.length).toBe(keys.length);
      }
      for (const origin of [1, 2]) {
        const [a, b] = [grown, loaded].map((of) => drain(of, ordered(of).byOrigin(origin, 3, 200, LATEST)));
        expect(b).toEqual(a);
      }
      expect(drain(loaded, loaded.byDeadline(LATEST))).toEqual(drain(grown, grown.byDeadline(LATEST)));
      expect(equalDigests(loaded.digest(ALL_KEYS, LATEST), grown.digest(ALL_KEYS, LATEST))).toBe(true);
      expect([loaded.version, loaded.settled]).toEqual([1000, 1000]);
      expect(loaded.usage().recordBytes).toBe(grown.usage().recordBytes);
      put(loaded, 1001, entry(keys[7], { value: bytesOf(1) }));
      expect(loaded.usage().oldVersions).toBe(1);
      loaded.verify();
    });

    it("takes no descending keys, nothing after its end, and keeps no tombstone that is not wanted", () => {
      const engine = make();
      const loader = engine.load();
      const tombstone = entry(ascii("b"));
      load(loader, [1, tombstone]);
      const lower = entry(ascii("a"));
      expect(() => make().load().finish(-1)).toThrow(invariant);
      loader.finish(1);
      expect(engine.usage().tombstones).toBe(0);
      expect(() => load(loader, [1, lower])).toThrow(invariant);
      expect(() => loader.put(2, lower, 0, lower.length)).toThrow(invariant);
      expect(() => loader.finish(2)).toThrow(invariant);
      for (const second of [lower, tombstone]) {
        const other = make();
        other.keepTombstones = true;
        const descending = other.load();
        const loading = (): void => load(descending, [1, tombstone], [1, second]);
        expect(() => [loading(), descending.finish(1)]).toThrow(invariant);
      }
      const late = make().load();
      late.put(5, lower, 0, lower.length);
      expect(() => late.put(4, lower, 0, lower.length)).toThrow(invariant);
      expect(() => load(late, [6, tombstone])).toThrow(invariant);
      expect(() => late.finish(4)).toThrow(invariant);
    });
  });

  describe(`${name}: digests`, () => {
    it("are equal for equal entries, whatever the history and the numbers of the origins", () => {
      const orders = [ORIGIN_IDS, [...ORIGIN_IDS].reverse()];
      const [one, two] = orders.map((ids) =>
        create({ hash: createEntryHash(cryptography, originTable(ids)) }),
      );
      for (const engine of [one, two]) engine.keepTombstones = true;
      const final = KEYS.map((key, i) =>
        entry(key, { origin: (i % 4) + 1, seq: i + 1, hlc: i + 1, value: bytesOf(i) }),
      );
      for (const bytes of final) put(one, 1, bytes);
      for (const [i, bytes] of final.toReversed().entries()) {
        put(two, 2 * i + 1, entry(KEYS[i], { value: ascii("before") }));
        const renumbered = bytes.slice();
        setOrigin(renumbered, 0, 4 - ((final.length - 1 - i) % 4));
        put(two, 2 * i + 2, renumbered);
        two.settle(2 * i + 1);
      }
      for (const [i, bytes] of final.entries()) {
        const renumbered = bytes.slice();
        setOrigin(renumbered, 0, 4 - (i % 4));
        put(two, 5000, renumbered);
      }
      const range = { from: bytesOf(3), to: bytesOf(200) };
      expect(equalDigests(one.digest(ALL_KEYS, LATEST), two.digest(ALL_KEYS, LATEST))).toBe(true);
      expect(equalDigests(one.digest(range, LATEST), two.digest(range, LATEST))).toBe(true);
      put(two, 5001, entry(KEYS[0], { hlc: 999, value: bytesOf(0) }));
      expect(equalDigests(one.digest(ALL_KEYS, LATEST), two.digest(ALL_KEYS, LATEST))).toBe(false);
      expect(equalDigests(one.digest(range, LATEST), two.digest(range, LATEST))).toBe(true);
    });

    it("of the parts add up to that of the whole", () => {
      const engine = make();
      for (const [i, key] of KEYS.entries()) put(engine, 1, entry(key, { seq: i + 1, value: key }));
      const middle = ascii("aaab");
      const low = engine.digest({ from: bytesOf(), to: middle }, LATEST);
      const high = engine.digest({ from: middle, to: undefined }, LATEST);
      const whole = engine.digest(ALL_KEYS, LATEST);
      addHash(low.sum, high.sum);
      expect({ count: low.count + high.count, sum: low.sum }).toEqual(whole);
      expect(engine.digest({ from: middle, to: bytesOf() }, LATEST)).toEqual({
        count: 0,
        sum: new Uint32Array(4),
      });
    });
  });

  describe(`${name}: sizes`, () => {
    it("keeps values from nothing to megabytes, and gives their room back", () => {
      const engine = make();
      const sizes = [0, 1, 7, 8, 9, 255, 4095, 65_537, 1 << 20, 3 << 20];
      for (const [i, size] of sizes.entries())
        put(engine, 1, entry(bytesOf(i), { value: new Uint8Array(size).fill(i + 1) }));
      for (const [i, size] of sizes.entries()) {
        const bytes = read(engine, engine.find(bytesOf(i), LATEST));
        expect(
          equalBytes(bytes, entry(bytesOf(i), { value: new Uint8Array(size).fill(i + 1) })),
          `${size} bytes`,
        ).toBe(true);
      }
      engine.verify();
      for (const [i] of sizes.entries()) put(engine, 2, entry(bytesOf(i)));
      engine.settle(2);
      expect(engine.usage()).toMatchObject({ entries: 0, tombstones: 0, oldVersions: 0, recordBytes: 0 });
      engine.verify();
    });
  });
}

/** Compares every way of listing with the expected set of keys. */
function compareKeysOf(engine: MemoryEngine, expected: ReadonlyMap<string, Uint8Array>): void {
  const keys = [...expected.keys()].sort();
  for (const reverse of [false, true]) {
    const found: string[] = [];
    const cursor = engine.scan(ALL_KEYS, LATEST, reverse);
    for (let ref = cursor.next(); ref !== NONE; ref = cursor.next()) found.push(keyAt(engine, ref));
    expect(found).toEqual(reverse ? keys.toReversed() : keys);
  }
  for (const key of expected.values()) expect(engine.find(key, LATEST)).not.toBe(NONE);
  expect(engine.usage().entries).toBe(expected.size);
  engine.verify();
}

function randomKey(random: (bound: number) => number): Uint8Array {
  const number = random(6000);
  return random(2) === 0
    ? ascii(`user:${String(number).padStart(5, "0")}`)
    : bytesOf(number >>> 8, number & 255);
}

/** A reproducible sequence of integers below a bound (xorshift32). */
function sequence(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}
