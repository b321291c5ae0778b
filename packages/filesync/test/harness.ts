import { mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open, type Store } from "fulmar";
import { onTestFinished } from "vitest";
import { type Mirror, type MirrorOptions, startMirror } from "../src/mirror.js";

export type BytesStore = Store<Uint8Array>;

/** An empty directory that goes away with the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "fulmar-filesync-")));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function memoryStore(): Promise<BytesStore> {
  const store = await open<Uint8Array>(undefined, { codec: "bytes" });
  onTestFinished(() => store.close());
  return store;
}

export interface Node {
  readonly directory: string;
  readonly index: BytesStore;
  readonly mirror: Mirror;
}

/** A mirror that finds changes by rescans only, so that the test says when. */
export async function mirrorNode(store: BytesStore, options: Partial<MirrorOptions> = {}): Promise<Node> {
  const directory = options.directory ?? (await temporaryDirectory());
  const index = (options.index as BytesStore | undefined) ?? (await memoryStore());
  const mirror = await startMirror({ watch: false, ...options, directory, store, index });
  onTestFinished(() => mirror.close());
  return { directory, index, mirror };
}

/** Rescans until nobody has anything left to do. */
export async function converge(store: BytesStore, ...nodes: readonly Node[]): Promise<void> {
  for (let round = 0; round < 30; round++) {
    const before = store.version;
    for (const { mirror } of nodes) await mirror.rescan();
    const idle = nodes.every(({ mirror }) => mirror.status().idle);
    if (idle && store.version === before && round > 0) return;
  }
  throw new Error(`no convergence: ${JSON.stringify(nodes.map(({ mirror }) => mirror.status()))}`);
}

/** Names left in the mirror's own directory where files are put together. */
export function stagingLeftovers(directory: string): Promise<string[]> {
  return readdir(join(directory, ".fulmar", "staging"));
}
