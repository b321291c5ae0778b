import type { MirrorContext } from "./context.js";
import { dropChunks } from "./context.js";
import { CHUNKS, decodeMeta, FILES, writeOfKey } from "./model.js";

/** Chunks that nothing refers to are kept so long, in ms: their metadata may be on its way. */
export const ORPHAN_AGE_MS = 10 * 60_000;
/** So many suspects are remembered between two scans. */
const SUSPECTS_MAX = 100_000;

interface Suspect {
  readonly sinceMs: number;
  readonly chunks: number;
}

/** Finds and deletes chunks that no metadata names: left by a crash in an upload, or by a vanished loser. */
export class OrphanScan {
  readonly #context: MirrorContext;
  #suspects = new Map<string, Suspect>();

  constructor(context: MirrorContext) {
    this.#context = context;
  }

  /** Returns how many writes were cleared away. A write that still grows is never old. */
  async scan(nowMs: number): Promise<number> {
    const { store, uploads } = this.#context;
    const writes = await this.#writesWithChunks();
    // Read after the chunks, so that whatever got its metadata meanwhile is seen to have it.
    for await (const { value } of store.list({ prefix: FILES })) {
      const meta = decodeMeta(value);
      if (meta !== undefined) writes.delete(meta.writeId);
    }
    const suspects = new Map<string, Suspect>();
    let cleared = 0;
    for (const [writeId, chunks] of writes) {
      if (uploads.has(writeId)) continue;
      const before = this.#suspects.get(writeId);
      const suspect = before?.chunks === chunks ? before : { sinceMs: nowMs, chunks };
      if (nowMs - suspect.sinceMs >= ORPHAN_AGE_MS) {
        await dropChunks(store, writeId);
        cleared++;
      } else if (suspects.size < SUSPECTS_MAX) {
        suspects.set(writeId, suspect);
      }
    }
    this.#suspects = suspects;
    return cleared;
  }

  async #writesWithChunks(): Promise<Map<string, number>> {
    const writes = new Map<string, number>();
    for await (const key of this.#context.store.keys({ prefix: CHUNKS })) {
      const writeId = writeOfKey(key);
      if (writeId !== undefined) writes.set(writeId, (writes.get(writeId) ?? 0) + 1);
    }
    return writes;
  }
}
