import { describe, expect, test } from "vitest";
import { encodeKey } from "../../../src/keys/key.js";
import { successor } from "../../../src/keys/range.js";
import { STORE_KEYS } from "../../../src/keys/space.js";
import {
  listenSignal,
  type WatchOptions,
  watchedRanges,
  watchPlan,
} from "../../../src/store/watch/request.js";

const MIB = 1024 * 1024;
const { signal } = new AbortController();
const refusedAs = (code: string): unknown => expect.objectContaining({ code });
const ranges = (keys: unknown): unknown => watchedRanges(keys as never, STORE_KEYS, 100);

describe("a stream that is asked for", () => {
  test("begins now, shows each commit and lets 8 MiB and 1024 commits wait, unless it is told otherwise", () => {
    const plain = { since: undefined, coalesce: false, signal: undefined };
    const limits = { bytes: 8 * MIB, commits: 1024 };
    for (const options of [{}, { limits: {} }, { ...plain, limits: undefined }]) {
      expect(watchPlan(options)).toEqual({ ...plain, limits });
    }
    expect(watchPlan({ limits: { bytes: 1 } }).limits).toEqual({ bytes: 1, commits: 1024 });
    const all = { since: 0, coalesce: true, signal, limits: { bytes: 5, commits: 1 } };
    expect(watchPlan(all)).toEqual(all);
  });

  test.each<[string, unknown]>([
    ["INVALID_ARGUMENT", { since: -1 }],
    ["INVALID_ARGUMENT", { since: 0.5 }],
    ["INVALID_ARGUMENT", { coalesce: "yes" }],
    ["INVALID_ARGUMENT", { signal: {} }],
    ["INVALID_ARGUMENT", { limits: 5 }],
    ["INVALID_ARGUMENT", { limits: { bytes: 0 } }],
    ["INVALID_ARGUMENT", { limits: { commits: 0 } }],
    ["INVALID_ARGUMENT", { limits: { commits: 1_000_001 } }],
    ["UNKNOWN_OPTION", { sinze: 0 }],
    ["UNKNOWN_OPTION", { limits: { byte: 1 } }],
  ])("is refused as %s with %o", (code, options) => {
    expect(() => watchPlan(options as WatchOptions)).toThrow(refusedAs(code));
  });
});

test("a listener may have a signal, and no other option", () => {
  expect([listenSignal(undefined), listenSignal({}), listenSignal({ signal })]).toEqual([
    undefined,
    undefined,
    signal,
  ]);
  expect(() => listenSignal({ since: 0 } as never)).toThrow(refusedAs("UNKNOWN_OPTION"));
  expect(() => listenSignal({ signal: {} } as never)).toThrow(refusedAs("INVALID_ARGUMENT"));
});

describe("what is watched", () => {
  test.each<[string, string | number | Uint8Array | (string | number)[]]>([
    ["a text", "a"],
    ["a number", 7],
    ["bytes", Uint8Array.of(1)],
    ["a tuple", ["a", 1]],
  ])("is one key: %s", (_, key) => {
    const from = encodeKey(key, 100);
    expect(ranges(key)).toEqual([{ from, to: successor(from) }]);
  });

  test("is a range, with the options of one", () => {
    const [from, to] = ["a", "c"].map((key) => encodeKey(key, 100));
    expect(ranges({ gte: "a", lt: "c" })).toEqual([{ from, to }]);
    expect(() => ranges({ gte: "a", limit: 5 })).toThrow(refusedAs("UNKNOWN_OPTION"));
  });

  test("is nothing else", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const keys of [undefined, null, Number.NaN, Symbol("a"), proxy]) {
      expect(() => ranges(keys), typeof keys).toThrow(refusedAs("INVALID_KEY"));
    }
    expect(() => ranges("x".repeat(101))).toThrow(refusedAs("KEY_TOO_LARGE"));
  });
});
