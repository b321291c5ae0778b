import fc from "fast-check";
import { expect, test } from "vitest";
import { PagedBytes } from "../../src/testing/simulated/paged-bytes.js";

/** Within a few pages, so that changes meet each other and the ends of pages. */
const position = fc.oneof(fc.nat(12_000), fc.constantFrom(0, 1, 4095, 4096, 4097, 8192));

const change = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), at: position, byte: fc.nat(255), length: fc.nat(5000) }),
  fc.record({ kind: fc.constant("resize" as const), at: position }),
  fc.record({ kind: fc.constant("grow" as const), at: position }),
  fc.record({ kind: fc.constant("clear" as const), at: position }),
  fc.record({ kind: fc.constant("flip" as const), at: position }),
  fc.record({ kind: fc.constant("fork" as const) }),
);

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The digest of the same bytes, in a file that was written at once. */
function digestOf(bytes: Uint8Array): string {
  const file = new PagedBytes();
  file.write(0, bytes, 0, bytes.length);
  file.sizeBytes = bytes.length;
  return file.digest();
}

test("a digest that was asked for before tells every change since, in a copy and in what it was copied from", () => {
  const run = (changes: readonly Change[]): void => {
    const files = [new PagedBytes()];
    for (const each of changes) {
      const file = files[0];
      if (each.kind === "fork") files.unshift(file.fork());
      else if (each.kind === "resize") file.resize(each.at);
      else if (each.kind === "grow") file.sizeBytes = Math.max(file.sizeBytes, each.at);
      else if (each.kind === "clear") file.clearBeyond(each.at);
      else if (each.kind === "flip") file.flip(each.at * 8);
      else file.write(each.at, new Uint8Array(each.length).fill(each.byte), 0, each.length);
      if (files.length > 3) files.push(files.shift() as PagedBytes);
      for (const one of files) expect(one.digest()).toBe(digestOf(one.toBytes()));
    }
  };
  fc.assert(fc.property(fc.array(change, { maxLength: 20 }), run), { numRuns: 200, seed: 7 });
});
