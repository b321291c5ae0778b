import type { Random, Runtime } from "../../src/base/runtime/interface.js";
import { MiniStore, machine, ROOT } from "./harness.js";

/** Bytes that count up, so that every run writes the same files. */
class CountingRandom implements Random {
  #next = 1;

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = this.#next++;
  }

  below(bound: number): number {
    return this.#next++ % bound;
  }
}

export const GOLDEN_CONTENTS: ReadonlyMap<string, string> = new Map([
  ["", "empty key"],
  ["k", "v2"],
  ["no value", ""],
  ["theirs", "merged"],
]);

/** Writes a small store with one of everything and returns its files by their path below the root. */
export async function writeGolden(): Promise<Map<string, Uint8Array>> {
  const storage = machine();
  const runtime: Runtime = { ...storage.runtime, random: new CountingRandom() };
  const store = await MiniStore.open(runtime);
  await store.save("k", "v1");
  await store.save("", "empty key");
  await store.save("gone", "deleted below");
  const foreign = store.origins.intern("f0".repeat(16));
  const coverage = { upTo: 9, holes: [{ from: 3, to: 4 }] };
  store.put("theirs", "merged", [{ origin: foreign, coverage }], foreign);
  await store.save("gone", undefined);
  await store.checkpoint();
  await store.save("no value", "");
  await store.save("k", "v2");
  await store.close();
  const files = [...storage.disk.image("durable")];
  return new Map(files.map(([path, bytes]) => [path.slice(ROOT.length + 1), bytes]));
}
