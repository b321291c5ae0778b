import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes, fromHex, toHex } from "../../src/base/bytes.js";
import { decodeMessage } from "../../src/sync/protocol/decode.js";
import { encodeMessage } from "../../src/sync/protocol/encode.js";
import { REJECT_TEXT_BYTES_MAX } from "../../src/sync/protocol/limits.js";
import { coverageOf, originId, rawEntries, rawPage, rawState } from "./support/raw-peer.js";
import { sampleMessages } from "./support/samples.js";

const VECTORS = JSON.parse(
  readFileSync(new URL("./fixtures/wire-1.json", import.meta.url), "utf8"),
) as Record<string, string>;
const README = readFileSync(new URL("../../../../docs/protocol/README.md", import.meta.url), "utf8");

function isAccepted(bytes: Uint8Array): boolean {
  return decodeMessage(bytes).ok;
}

describe("the wire format", () => {
  it("has not changed since the golden vectors were made", () => {
    const made = Object.entries(sampleMessages()).map(([name, message]) => [
      name,
      toHex(encodeMessage(message)),
    ]);
    expect(Object.fromEntries(made)).toEqual(VECTORS);
  });

  it("decodes the golden vectors to what they were made of", () => {
    for (const [name, message] of Object.entries(sampleMessages())) {
      const decoded = decodeMessage(fromHex(VECTORS[name]) ?? new Uint8Array(0));
      expect(decoded.ok, name).toBe(true);
      if (decoded.ok) expect(decoded.message).toEqual(message);
    }
  });

  it("is what the documents show", () => {
    const shown = README.replace(/\s+/g, "");
    for (const name of ["hello", "stateShort", "pageOnly"]) expect(shown, name).toContain(VECTORS[name]);
  });

  it("cuts the text of a REJECT at a character", () => {
    const decoded = decodeMessage(encodeMessage({ type: "reject", code: "CLOSED", text: "ä".repeat(200) }));
    expect(decoded).toEqual({ ok: true, message: { type: "reject", code: "CLOSED", text: "ä".repeat(127) } });
    expect(REJECT_TEXT_BYTES_MAX).toBe(255);
  });
});

describe("SEC: nested/huge counts: the decoder of untrusted bytes", () => {
  const valid = Object.values(sampleMessages()).map(encodeMessage);

  it("refuses every valid message cut short or followed by a byte", () => {
    for (const bytes of valid) {
      for (let length = 0; length < bytes.length; length++) {
        expect(isAccepted(bytes.subarray(0, length)), `${bytes[0]} cut to ${length}`).toBe(false);
      }
      const longer = new Uint8Array(bytes.length + 1);
      longer.set(bytes);
      // Later versions may append to a HELLO.
      expect(isAccepted(longer)).toBe(bytes[0] === 1);
    }
  });

  it("never throws, whatever is changed in a valid message, and accepts again what it accepted", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
        (bytes, changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at % changed.length] = value;
          const decoded = decodeMessage(changed);
          if (!decoded.ok) return;
          const again = decodeMessage(encodeMessage(decoded.message));
          expect(again.ok).toBe(true);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it("never throws at random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 8 }), (bytes, type) => {
        if (bytes.length > 0) bytes[0] = type;
        expect(typeof isAccepted(bytes)).toBe("boolean");
      }),
      { numRuns: 5000 },
    );
  });

  it("refuses huge counts without believing them", () => {
    const state = encodeMessage(rawState({ number: 1, coverage: coverageOf({ a: 1 }) }));
    // Each count of the message in turn: dictionary, coverage, holes.
    for (const at of [34, 54, 62]) {
      for (const count of [0xff, 0x7f]) {
        const changed = state.slice();
        changed.set([0xff, 0xff, 0xff, count], at);
        expect(isAccepted(changed), `count at ${at}`).toBe(false);
      }
    }
    const page = encodeMessage(rawPage({ cut: 1 }));
    page.set([0xff, 0xff, 0xff, 0xff], page.length - 4);
    expect(isAccepted(page)).toBe(false);
  });

  it("refuses numbers above 2^53, origins out of order or twice, and seq 0", () => {
    const big = encodeMessage(rawState({ number: 1 }));
    big[32] = 0x20;
    expect(isAccepted(big)).toBe(false);
    const entry = { key: "k", value: "v", origin: 1, seq: 1 };
    const page = (entries: (typeof entry)[], dictionary = [originId("a"), originId("b")]): boolean =>
      isAccepted(encodeMessage(rawPage({ cut: 1, dictionary, entries: rawEntries(entries) })));
    expect(page([entry, { ...entry, origin: 2 }])).toBe(true);
    expect(page([{ ...entry, origin: 2 }, entry])).toBe(false);
    expect(page([{ ...entry, seq: 2 }, entry])).toBe(false);
    expect(page([{ ...entry, seq: 0 }])).toBe(false);
    expect(page([{ ...entry, origin: 3 }])).toBe(false);
    expect(page([{ ...entry, origin: 0 }])).toBe(false);
    const twice = encodeMessage(rawPage({ cut: 1, dictionary: [originId("a"), originId("b")] }));
    const at = twice.findIndex((byte, i) => byte === 0xbb && i > 20);
    twice.fill(0xaa, at, at + 16);
    expect(isAccepted(twice)).toBe(false);
  });

  it("refuses a starting point on a later page and a cut numbered 0", () => {
    expect(isAccepted(encodeMessage(rawPage({ cut: 1, index: 1, to: coverageOf({ a: 1 }) })))).toBe(false);
    expect(isAccepted(encodeMessage(rawPage({ cut: 0 })))).toBe(false);
  });

  it("knows only its own magic", () => {
    const hello = encodeMessage(sampleMessages().hello);
    expect(isAccepted(hello)).toBe(true);
    hello[2] ^= 1;
    expect(isAccepted(hello)).toBe(false);
    expect(equalBytes(hello, encodeMessage(sampleMessages().hello))).toBe(false);
  });
});
