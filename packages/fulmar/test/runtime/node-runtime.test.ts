import { subscribe, unsubscribe } from "node:diagnostics_channel";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/crc.js";
import { NATIVE_BYTES_MIN } from "../../src/base/runtime/node/checksum.js";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";

const { checksum, clock, cryptography, diagnostics, random, timers } = nodeRuntime();
const utf8 = new TextEncoder();

afterEach(() => void vi.useRealTimers());

test("checksum: the known vectors", () => {
  const check = utf8.encode("123456789");
  expect(checksum.crc32(check, 0, 9, 0)).toBe(0xcbf43926);
  expect(crc32(check)).toBe(0xcbf43926);
  expect(checksum.crc32(check, 4, 4, 77)).toBe(77);
  // The published value for a million letters "a", long enough for the native implementation.
  expect(checksum.crc32(new Uint8Array(1_000_000).fill(97), 0, 1_000_000, 0)).toBe(0xdc25bfbc);
});

test("checksum: both implementations agree on ranges, seeds and continuation", () => {
  const cases = fc.record({
    bytes: fc.uint8Array({ minLength: 0, maxLength: 4 * NATIVE_BYTES_MIN }),
    offset: fc.nat(64),
    cut: fc.nat(),
    seed: fc.nat(0xffffffff),
  });
  fc.assert(
    fc.property(cases, ({ bytes, offset, cut, seed }) => {
      const from = Math.min(offset, bytes.length);
      const middle = from + (cut % (bytes.length - from + 1));
      const whole = checksum.crc32(bytes, from, bytes.length, seed);
      expect(whole).toBe(crc32(bytes, from, bytes.length, seed));
      expect(checksum.crc32(bytes, middle, bytes.length, checksum.crc32(bytes, from, middle, seed))).toBe(
        whole,
      );
    }),
    { numRuns: 500 },
  );
  for (const length of [NATIVE_BYTES_MIN - 1, NATIVE_BYTES_MIN, NATIVE_BYTES_MIN + 1]) {
    const bytes = new Uint8Array(length + 2).map((_, i) => i * 7);
    expect(checksum.crc32(bytes, 1, length + 1, 5)).toBe(crc32(bytes, 1, length + 1, 5));
  }
});

test("clock: wall time is that of the machine, monotonic time does not go back", () => {
  expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(60_000);
  let last = clock.monotonicMs();
  for (let i = 0; i < 10_000; i++) {
    const now = clock.monotonicMs();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});

test("timers: soon comes after all ready promise continuations and before I/O", async () => {
  const order: string[] = [];
  // From the event loop itself, where nextTick alone would run before the continuations.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      setImmediate(() => {
        order.push("turn");
        resolve();
      });
      timers.soon(() => order.push("soon"));
      void Promise.resolve()
        .then(() => order.push("first"))
        .then(() => order.push("second"));
    });
  });
  expect(order).toEqual(["first", "second", "soon", "turn"]);
});

test("timers: a delay longer than the system's timers take is waited for in full", () => {
  vi.useFakeTimers();
  const task = vi.fn();
  const delayMs = 5 * 2 ** 31;
  timers.after(delayMs, task, { background: true });
  vi.advanceTimersByTime(delayMs - 1);
  expect(task).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(task).toHaveBeenCalledTimes(1);
  const cancelled = timers.after(delayMs, task);
  vi.advanceTimersByTime(delayMs - 1);
  cancelled.cancel();
  vi.advanceTimersByTime(delayMs);
  expect(task).toHaveBeenCalledTimes(1);
});

test("timers: a background timer does not hold the process, others do; turn lets I/O through", async () => {
  const active = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = active();
  const background = timers.after(60_000, () => {}, { background: true });
  expect(active()).toBe(before);
  const foreground = timers.after(60_000, () => {});
  expect(active()).toBe(before + 1);
  background.cancel();
  foreground.cancel();
  expect(active()).toBe(before);
  let immediate = false;
  setImmediate(() => {
    immediate = true;
  });
  await timers.turn();
  expect(immediate).toBe(true);
});

test("random: fills the whole array and draws within the bound", () => {
  const bytes = new Uint8Array(100_000);
  random.fill(bytes);
  expect(new Set(bytes.subarray(0, 50_000)).size).toBe(256);
  expect(new Set(bytes.subarray(50_000)).size).toBe(256);
  const drawn = new Set(Array.from({ length: 1_000 }, () => random.below(3)));
  expect([...drawn].sort()).toEqual([0, 1, 2]);
  expect(random.below(1)).toBe(0);
  expect(random.below(2 ** 32)).toBeLessThan(2 ** 32);
  for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => random.below(bound)).toThrow(/random bound/);
});

test("cryptography: the published vectors of SHA-256, HMAC (RFC 4231) and HKDF (RFC 5869)", () => {
  expect(toHex(cryptography.sha256(utf8.encode("abc")))).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  expect(
    toHex(cryptography.hmacSha256(utf8.encode("Jefe"), utf8.encode("what do ya want for nothing?"))),
  ).toBe("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const secret = new Uint8Array(22).fill(0x0b);
  const salt = fromHex("000102030405060708090a0b0c")!;
  const info = String.fromCharCode(...Array.from({ length: 10 }, (_, i) => 0xf0 + i));
  // RFC 5869's info is not UTF-8, so that its first two cases cannot be asked for; the third has none.
  expect(toHex(cryptography.deriveKey(secret, new Uint8Array(0), "", 42))).toBe(
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
  expect(cryptography.deriveKey(secret, salt, info, 42)).toHaveLength(42);
});

test("cryptography: comparing tells equal from different, also in length", () => {
  const a = new Uint8Array([1, 2, 3]);
  expect(cryptography.equal(a, new Uint8Array([1, 2, 3]))).toBe(true);
  expect(cryptography.equal(a, new Uint8Array([1, 2, 4]))).toBe(false);
  expect(cryptography.equal(a, new Uint8Array([1, 2]))).toBe(false);
  expect(cryptography.equal(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});

test("cryptography: AES-256-GCM as published, and nothing but the sealed bytes opens", () => {
  const key = new Uint8Array(32);
  const nonce = new Uint8Array(12);
  // Test cases 13 and 14 of the GCM specification.
  expect(toHex(cryptography.seal(key, nonce, new Uint8Array(0)))).toBe("530f8afbc74536b9a963b4f1c4cb738b");
  const sealed = cryptography.seal(key, nonce, new Uint8Array(16));
  expect(toHex(sealed)).toBe("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  expect(cryptography.unseal(key, nonce, sealed)).toEqual(new Uint8Array(16));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = sealed.slice();
    damaged[bit >>> 3] ^= 1 << (bit & 7);
    expect(cryptography.unseal(key, nonce, damaged)).toBeUndefined();
  }
  for (let length = 0; length < sealed.length; length++) {
    expect(cryptography.unseal(key, nonce, sealed.subarray(0, length))).toBeUndefined();
  }
  expect(cryptography.unseal(new Uint8Array(32).fill(1), nonce, sealed)).toBeUndefined();
  expect(cryptography.unseal(key, new Uint8Array(12).fill(1), sealed)).toBeUndefined();
});

test("cryptography: results are plain arrays, whose slices are copies", () => {
  const key = new Uint8Array(32);
  const nonce = new Uint8Array(12);
  const sealed = cryptography.seal(key, nonce, new Uint8Array(4));
  const results = [cryptography.sha256(key), cryptography.hmacSha256(key, key), sealed];
  results.push(cryptography.deriveKey(key, key, "x", 5), cryptography.unseal(key, nonce, sealed)!);
  for (const result of results) expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
});

test("diagnostics: details are made only when somebody listens", () => {
  const details = vi.fn(() => ({ n: 1 }));
  diagnostics.emit("test", details);
  expect(details).not.toHaveBeenCalled();
  const heard: unknown[] = [];
  const listener = (message: unknown, name: string | symbol): void => void heard.push([name, message]);
  subscribe("fulmar:test", listener);
  diagnostics.emit("test", details);
  unsubscribe("fulmar:test", listener);
  diagnostics.emit("test", details);
  expect(heard).toEqual([["fulmar:test", { n: 1 }]]);
  expect(details).toHaveBeenCalledTimes(1);
});
