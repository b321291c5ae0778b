import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { type Encryption, open, restore, type Store, verify } from "../../../src/index.js";

/** What opens files under a key, and only such. */
export function withKey(key: Uint8Array | undefined): { readonly encryption?: Encryption } {
  return key === undefined ? {} : { encryption: { key, refusePlain: true } };
}

/** A commit deletes what the one so many numbers before it set. */
const LIFE = 500;

/** What the process that is killed told, kept outside of it. */
export class Oracle {
  /** The highest acknowledged number of each lane. */
  readonly #lanes = new Map<number, number>();
  /** Acknowledged numbers whose key may still be there. */
  readonly #acknowledged = new Set<number>();
  #last = 1000;

  get next(): number {
    return this.#last + 1;
  }

  acknowledge(lane: number, n: number): void {
    this.#lanes.set(lane, Math.max(n, this.#lanes.get(lane) ?? 0));
    this.#acknowledged.add(n);
    this.#last = Math.max(this.#last, n);
  }

  /** Everything acknowledged is there. */
  checkAcknowledged(db: Store<unknown>): void {
    for (const [lane, n] of this.#lanes) expect(db.get(["left", lane])).toBeGreaterThanOrEqual(n);
    // A writer gets far ahead of what it is known to have told while its disk is copied.
    const [newest] = db.keys({ prefix: ["all"], reverse: true, limit: 1 });
    const last = newest === undefined ? 0 : (newest as [string, number])[1];
    for (const n of this.#acknowledged) {
      // What is missing was deleted by a later commit, which is there or was deleted in turn.
      let heir = n;
      while (!db.has(["all", heir]) && heir <= last) heir += LIFE;
      expect(db.has(["all", heir]), `the acknowledged commit ${n}`).toBe(true);
      if (heir !== n) this.#acknowledged.delete(n);
    }
  }

  /** Numbers that were written and perhaps not acknowledged are used as well. */
  learn(db: Store<unknown>): void {
    for (const key of db.keys({ prefix: ["all"] })) {
      this.#last = Math.max(this.#last, (key as [string, number])[1]);
    }
  }
}

/** No commit is there by half, and none that was refused. */
export function checkWhole(db: Store<unknown>): void {
  for (const key of db.keys({ prefix: ["left"] })) {
    const [, lane] = key as [string, number];
    const n = db.get(key) as number;
    expect(db.get(["right", lane])).toBe(n);
    expect(db.has(["all", n]), `the key of commit ${n}, which its lane has`).toBe(true);
  }
  expect(db.count({ prefix: ["right"] })).toBe(db.count({ prefix: ["left"] }));
  for (const { key, value } of db.list({ prefix: ["all"] })) {
    const n = (key as [string, number])[1];
    expect(value).toBe("x".repeat(n % 300));
    expect(db.has(["all", n - LIFE]), `what commit ${n} deleted`).toBe(false);
  }
  expect(db.count({ prefix: ["refused"] })).toBe(0);
}

/** What is in the directory after an orderly close is what the store needs, and verifies. */
export async function checkFiles(directory: string, key?: Uint8Array): Promise<void> {
  expect((await readdir(directory)).sort()).toEqual(["MANIFEST", "checkpoint", "log"]);
  const [log, checkpoints] = [join(directory, "log"), join(directory, "checkpoint")];
  const segments = (await readdir(log)).sort();
  for (const name of segments) expect(name).toMatch(/^\d{12}\.log$/);
  const report = await verify(directory, withKey(key));
  expect(report).toMatchObject({ ok: true, clean: true, findings: [] });
  expect(segments).toHaveLength(report.segments);
  const live = report.checkpoint === undefined ? [] : [String(report.checkpoint.number).padStart(12, "0")];
  expect(await readdir(checkpoints)).toEqual(live);
}

/** Every backup that has its name is whole; one that was finished before the kill is there. */
export async function checkBackups(
  backups: string,
  finished: ReadonlyMap<string, number>,
  key: Uint8Array | undefined,
): Promise<void> {
  const names = await readdir(backups);
  expect(names.filter((name) => name.endsWith(".tmp")).length).toBeLessThanOrEqual(1);
  for (const path of finished.keys()) expect(names).toContain(path.slice(backups.length + 1));
  for (const name of names.filter((found) => found.endsWith(".backup"))) {
    const path = join(backups, name);
    const restored = join(backups, "restored");
    expect(await verify(path, withKey(key)), name).toMatchObject({ ok: true });
    const { version } = await restore(path, restored, withKey(key));
    expect(version).toBeGreaterThanOrEqual(finished.get(path) ?? 0);
    const db = await open<unknown>(restored, withKey(key));
    checkWhole(db);
    await db.close();
    for (const made of [path, restored]) await rm(made, { recursive: true });
  }
}
