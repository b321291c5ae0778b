import type { Compression, Timers } from "../../base/runtime/interface.js";

/** Fewer equal bytes are not worth a run. */
const RUN_MIN = 4;
const RUN_MAX = RUN_MIN + 127;
const LITERALS_MAX = 128;

/**
 * A twin of DEFLATE that gives the same bytes on every machine: a byte below 128 is followed by one more
 * literal bytes than it says, one above stands before a byte that comes {@link RUN_MIN} times and more.
 */
export function simulatedCompression(timers: Timers): Compression {
  return {
    async deflate(bytes) {
      const deflated = shorten(bytes);
      await timers.turn();
      return deflated;
    },
    async inflate(bytes, lengthBytes) {
      const inflated = lengthen(bytes, lengthBytes);
      await timers.turn();
      return inflated;
    },
  };
}

function shorten(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  let literals: number[] = [];
  const flush = (): void => {
    if (literals.length > 0) out.push(literals.length - 1, ...literals);
    literals = [];
  };
  for (let at = 0; at < bytes.length; ) {
    let end = at + 1;
    while (end < bytes.length && end - at < RUN_MAX && bytes[end] === bytes[at]) end++;
    if (end - at >= RUN_MIN) {
      flush();
      out.push(128 + end - at - RUN_MIN, bytes[at]);
      at = end;
      continue;
    }
    literals.push(bytes[at++]);
    if (literals.length === LITERALS_MAX) flush();
  }
  flush();
  return Uint8Array.from(out);
}

/** What was shortened to `bytes`, if that had `lengthBytes`. */
export function lengthen(bytes: Uint8Array, lengthBytes: number): Uint8Array | undefined {
  const out = new Uint8Array(lengthBytes);
  let filled = 0;
  for (let at = 0; at < bytes.length; ) {
    const head = bytes[at++];
    const isRun = head >= 128;
    const count = isRun ? head - 128 + RUN_MIN : head + 1;
    const taken = isRun ? 1 : count;
    if (at + taken > bytes.length || filled + count > lengthBytes) return undefined;
    if (isRun) out.fill(bytes[at], filled, filled + count);
    else out.set(bytes.subarray(at, at + count), filled);
    at += taken;
    filled += count;
  }
  return filled === lengthBytes ? out : undefined;
}
