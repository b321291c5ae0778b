import { mkdir, open as openFile, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Durability, open, type Store, verify } from "../../src/index.js";
import { mounted, whyNoMount } from "./real/mount.js";

const TMPFS = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
const reason = await whyNoMount(...TMPFS);
const VALUE_BYTES = 3000;

/** Takes all the space that is left. */
async function fill(directory: string): Promise<void> {
  await using ballast = await openFile(join(directory, "ballast"), "w");
  for (const bytes of [65_536, 4096, 1]) {
    for (let full = false; !full; ) {
      full = await ballast.write(new Uint8Array(bytes)).then(
        ({ bytesWritten }) => bytesWritten < bytes,
        (error: { code: string }) => {
          expect(error.code).toBe("ENOSPC");
          return true;
        },
      );
    }
  }
  expect((await statfs(directory)).bavail).toBe(0);
}

class Writes {
  readonly acknowledged = new Set<number>();
  readonly rejected = new Set<number>();
  readonly #db: Store<string>;
  #next = 0;

  constructor(db: Store<string>) {
    this.#db = db;
  }

  /** Writes so many at once; those that fail must fail as a full disk does. */
  async write(count: number): Promise<void> {
    const numbers = Array.from({ length: count }, () => this.#next++);
    await Promise.all(numbers.map((n) => this.#one(n)));
  }

  async untilRejected(): Promise<void> {
    while (this.rejected.size === 0) {
      expect(this.acknowledged.size).toBeLessThan(10_000);
      await this.write(7);
    }
  }

  check(db: Store<string>): void {
    for (const n of this.acknowledged) expect([db.get(["a", n]), db.get(["b", n])]).toEqual(valuesOf(n));
    for (const n of this.rejected) expect([db.has(["a", n]), db.has(["b", n])]).toEqual([false, false]);
    expect(db.count()).toBe(2 * this.acknowledged.size);
  }

  async #one(n: number): Promise<void> {
    const [a, b] = valuesOf(n);
    try {
      await this.#db.batch([
        { type: "set", key: ["a", n], value: a },
        { type: "set", key: ["b", n], value: b },
      ]);
      this.acknowledged.add(n);
    } catch (error) {
      // One that a later refusal took along had been applied, and was never acknowledged.
      expect(["DISK_FULL", "ROLLED_BACK"]).toContain((error as { code: string }).code);
      this.rejected.add(n);
    }
  }
}

function valuesOf(n: number): [string, string] {
  return [String(n).padEnd(VALUE_BYTES, "x"), String(-n)];
}

describe.each(["full", "relaxed"] satisfies Durability[])(
  "a disk that is really full, level %s",
  (durability) => {
    const openOn = (root: string): Promise<Store<string>> =>
      open<string>(join(root, "data"), { durability, segmentBytes: 65_536 });

    /** A store on a small disk of its own, with so many commits in it. */
    async function begun(count: number): Promise<{ root: string; db: Store<string>; writes: Writes }> {
      const root = await mounted(...TMPFS);
      const db = await openOn(root);
      const writes = new Writes(db);
      await writes.write(count);
      return { root, db, writes };
    }

    test("T-WAL-06: writes are refused and taken back, reads go on, and writes work again without reopening", async ({
      skip,
    }) => {
      skip(reason !== undefined, reason);
      const { root, db, writes } = await begun(50);
      for (let round = 0; round < 3; round++) {
        await fill(root);
        writes.rejected.clear();
        await writes.untilRejected();
        await writes.write(5);
        writes.check(db);
        await rm(join(root, "ballast"));
        const { size } = writes.acknowledged;
        await writes.write(20);
        expect(writes.acknowledged.size).toBe(size + 20);
        writes.check(db);
      }
      await db.close();
      await using again = await openOn(root);
      writes.check(again);
    });

    test("checkpoint and backup fail with DISK_FULL, leave nothing, and work again", async ({ skip }) => {
      skip(reason !== undefined, reason);
      const { root, db, writes } = await begun(100);
      const backups = join(root, "backups");
      await mkdir(backups);
      await db.checkpoint();
      await writes.write(50);
      await fill(root);
      await expect(db.checkpoint()).rejects.toMatchObject({ code: "DISK_FULL" });
      await expect(db.backup(backups)).rejects.toMatchObject({ code: "DISK_FULL" });
      expect(await readdir(backups)).toEqual([]);
      expect((await readdir(join(root, "data", "checkpoint"))).length).toBe(1);
      writes.check(db);
      await rm(join(root, "ballast"));
      await writes.write(20);
      await db.checkpoint();
      const { path } = await db.backup(backups);
      expect(await verify(path)).toMatchObject({ ok: true, entries: db.count() });
      await db.close();
      expect(await verify(join(root, "data"))).toMatchObject({ ok: true, clean: true, findings: [] });
      await using again = await openOn(root);
      writes.check(again);
    });

    test("a store that was closed while the disk was full opens with all that was acknowledged", async ({
      skip,
    }) => {
      skip(reason !== undefined, reason);
      const { root, db, writes } = await begun(50);
      await fill(root);
      await writes.untilRejected();
      await db.close();
      await rm(join(root, "ballast"));
      await using again = await openOn(root);
      writes.check(again);
    });
  },
);
