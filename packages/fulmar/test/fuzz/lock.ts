import type { FuzzTarget } from "./fuzzer.js";

/** Opens only for three right bytes, found one by one: for the test of the fuzzer itself. */
export function lock(opened: { count: number }): FuzzTarget {
  return {
    name: "lock",
    seeds: [new Uint8Array(3)],
    bytesMax: 3,
    allocatedBytesMax: 1000,
    batch: 1000,
    async run(bytes) {
      if (bytes[0] !== 0x46) return;
      if (bytes[1] !== 0x75) return;
      if (bytes[2] === 0x6c) opened.count++;
    },
  };
}
