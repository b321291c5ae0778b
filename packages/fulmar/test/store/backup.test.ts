import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeRuntime } from "../../src/base/runtime/node/node-runtime.js";
import { type Key, open, restore, type Store, verify } from "../../src/index.js";
import { portOf } from "../../src/store/port.js";
import { temporaryDirectory } from "./fixture.js";

/** Every entry with everything that is kept of it. */
function everything(db: Store<unknown>): unknown[] {
  return [...db.list()];
}

const KEYS: readonly Key[] = ["", "a", -0.5, 12n, true, Uint8Array.of(0, 255), ["user", 1, [false]]];

async function sample(directory: string): Promise<Store<unknown>> {
  const db = await open<unknown>(directory);
  for (const [i, key] of KEYS.entries()) await db.set(key, { i });
  await db.set("soon", 1, { expiresAt: Date.now() + 3_600_000 });
  await db.set("gone", 1);
  await db.delete("gone");
  return db;
}

describe("backup and restore", () => {
  test("bring back every entry, with its deadline, under a new identity and with unused numbers", async () => {
    const root = await temporaryDirectory();
    const db = await sample(join(root, "data"));
    const phases = new Set<string>();
    const summary = await db.backup(join(root, "one.backup"), {
      onProgress: ({ phase }) => phases.add(phase),
    });
    expect(summary).toMatchObject({ path: join(root, "one.backup"), version: db.version, entries: 8 });
    expect([...phases]).toEqual(["write", "read"]);
    expect(await verify(summary.path)).toMatchObject({
      kind: "backup",
      ok: true,
      entries: 8,
      version: db.version,
      incarnation: db.status().incarnation,
    });
    const made = await restore(summary.path, join(root, "restored"));
    expect(made).toMatchObject({ version: db.version, entries: 8, storeId: db.status().storeId });
    expect((await verify(join(root, "restored"))).findings).toEqual([]);
    await using again = await open<unknown>(join(root, "restored"));
    const plain = (entry: unknown): unknown => ({ ...(entry as object), stamp: undefined });
    expect(everything(again).map(plain)).toEqual(everything(db).map(plain));
    expect(again.status().incarnation).toBe(made.incarnation);
    expect(again.status().incarnation).not.toBe(db.status().incarnation);
    const { version } = await again.set("new", 1);
    expect(version).toBeGreaterThan(db.version + 2 ** 20);
    await db.close();
  });

  test("work from memory alone, of an empty store, and of a restored one", async () => {
    const root = await temporaryDirectory();
    await using memory = await open<unknown>();
    await memory.backup(join(root, "empty"));
    await memory.set("k", "v");
    await memory.backup(join(root, "memory"));
    await restore(join(root, "empty"), join(root, "from-empty"));
    await restore(join(root, "memory"), join(root, "first"));
    await using none = await open<unknown>(join(root, "from-empty"));
    expect(none.count()).toBe(0);
    await none.set("x", 1);
    await using first = await open<unknown>(join(root, "first"));
    await first.set("l", "w");
    await first.backup(join(root, "again"));
    await restore(join(root, "again"), join(root, "second"));
    await using second = await open<unknown>(join(root, "second"));
    expect([second.get("k"), second.get("l")]).toEqual(["v", "w"]);
  });

  test("a backup shows one moment while writes go on", async () => {
    const root = await temporaryDirectory();
    const db = await open<number>(join(root, "data"), { durability: "relaxed" });
    await db.batch(Array.from({ length: 20_000 }, (_, n) => ({ type: "set", key: ["n", n], value: n })));
    let writing = true;
    let round = 0;
    const writer = (async () => {
      while (writing) {
        round++;
        await db.batch([
          { type: "set", key: "left", value: round },
          { type: "set", key: ["n", round % 20_000], value: -round },
          { type: "set", key: "right", value: round },
        ]);
      }
    })();
    const before = round;
    const { path, version } = await db.backup(root);
    const after = round;
    writing = false;
    await writer;
    await db.close();
    expect(after).toBeGreaterThan(before);
    expect(path).toContain(root);
    await restore(path, join(root, "restored"));
    await using again = await open<number>(join(root, "restored"));
    const left = again.get("left") ?? 0;
    expect(again.get("right") ?? 0).toBe(left);
    expect(left).toBeGreaterThanOrEqual(before);
    expect(left).toBeLessThanOrEqual(after);
    for (const { value } of again.list({ prefix: ["n"] })) expect(value).toBeGreaterThanOrEqual(-left);
    expect(again.version).toBe(version);
  });

  test("reserved keys and tombstones of a store with peers come along, and its commits stay its own", async () => {
    const root = await temporaryDirectory();
    const db = await open<unknown>(join(root, "data"));
    await portOf(db).beginReplication();
    await db.set("kept", 1);
    await db.set("gone", 1);
    await db.delete("gone");
    const { incarnation, nextSeq } = db.status();
    const { path } = await db.backup(root);
    await db.close();
    const made = await restore(path, join(root, "restored"));
    await using again = await open<unknown>(join(root, "restored"));
    expect(again.entry("gone", { tombstones: true })?.tombstone).toBe("deleted");
    expect(again.entry("kept")?.stamp.origin).toBe(incarnation);
    const { coverage } = { coverage: portOf(again).coverage() };
    expect(coverage.of(incarnation).upTo).toBe(nextSeq - 1);
    const { stamp } = await again.set("kept", 2);
    expect(stamp).toMatchObject({ origin: made.incarnation, seq: 1 });
  });

  test("a backup claims no commit that it does not hold", async () => {
    const root = await temporaryDirectory();
    const db = await open<unknown>(join(root, "data"), { durability: "memory" });
    await portOf(db).beginReplication();
    await db.set("held", 1);
    const { incarnation, nextSeq } = db.status();
    let [written, writing] = [0, true];
    const writer = (async () => {
      for (; writing; await new Promise(setImmediate)) {
        for (let i = 0; i < 50; i++) void db.set(["late", written++], "x".repeat(500));
      }
    })();
    while (written < 1000) await new Promise(setImmediate);
    const { path } = await db.backup(root);
    writing = false;
    await writer;
    await db.close();
    await restore(path, join(root, "restored"));
    await using again = await open<unknown>(join(root, "restored"));
    const claimed = portOf(again).coverage().of(incarnation).upTo;
    expect(claimed).toBeGreaterThanOrEqual(nextSeq + 999);
    expect(claimed - nextSeq + 1).toBeLessThanOrEqual(again.count({ prefix: ["late"] }));
  });
});

describe("what is refused", () => {
  test("an existing target, a missing directory, a wrong argument; nothing is left", async () => {
    const root = await temporaryDirectory();
    await using db = await sample(join(root, "data"));
    await writeFile(join(root, "there"), "mine");
    await expect(db.backup(join(root, "there"))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    expect(readFileSync(join(root, "there"), "utf8")).toBe("mine");
    await expect(db.backup(join(root, "no", "where"))).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    await expect(db.backup("")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(db.backup(join(root, "x"), { signal: 1 as never })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await expect(db.backup(join(root, "x"), { unknown: 1 } as never)).rejects.toMatchObject({
      code: "UNKNOWN_OPTION",
    });
    await mkdir(join(root, "own"));
    const { path } = await db.backup(join(root, "own"));
    expect(path).toMatch(/fulmar-[0-9a-f]{8}-\d{12}\.backup$/);
    await expect(db.backup(join(root, "own"))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    expect(readdirSync(root).sort()).toEqual(["data", "own", "there"]);
  });

  test("links that lead nowhere: they stay, and the error says what to do", async () => {
    const root = await temporaryDirectory();
    await using db = await sample(join(root, "data"));
    const [link, nowhere] = [join(root, "link"), join(root, "nowhere")];
    await symlink(nowhere, link);
    const kept = { code: "ALREADY_EXISTS", details: { path: link } };
    await expect(db.backup(link)).rejects.toMatchObject(kept);
    const { path } = await db.backup(join(root, "one.backup"));
    const message = expect.stringMatching(/leads nowhere: .*make .*or remove/);
    const refused = { code: "PATH_UNUSABLE", message, details: { path: link } };
    for (const place of [link, join(link, "below")]) {
      await expect(open(place)).rejects.toMatchObject(refused);
      await expect(restore(path, place)).rejects.toMatchObject(refused);
    }
    expect(await readlink(link)).toBe(nowhere);
    expect((await readdir(root)).sort()).toEqual(["data", "link", "one.backup"]);
  });

  test("a stopped backup leaves nothing", async () => {
    const root = await temporaryDirectory();
    const db = await open<unknown>(join(root, "data"));
    await db.batch(
      Array.from({ length: 30_000 }, (_, n) => ({ type: "set", key: n, value: "x".repeat(100) })),
    );
    const before = new AbortController();
    before.abort();
    await expect(db.backup(join(root, "a"), { signal: before.signal })).rejects.toMatchObject({
      code: "ABORTED",
    });
    for (const stopAt of ["write", "read"]) {
      const stop = new AbortController();
      const onProgress = ({ phase }: { phase: string }): void => {
        if (phase === stopAt) stop.abort();
      };
      await expect(db.backup(join(root, "a"), { signal: stop.signal, onProgress })).rejects.toMatchObject({
        code: "ABORTED",
      });
    }
    const closed = expect(db.backup(join(root, "a"))).rejects.toMatchObject({ code: "CLOSED" });
    await db.close();
    await closed;
    expect(await readdir(root)).toEqual(["data"]);
    await expect(db.backup(join(root, "a"))).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("a directory that is not empty, a file that is no backup, a stopped restore", async () => {
    const root = await temporaryDirectory();
    const db = await sample(join(root, "data"));
    const { path } = await db.backup(join(root, "backup"));
    await db.checkpoint();
    await db.close();
    await expect(restore(path, join(root, "data"))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await mkdir(join(root, "foreign"));
    await writeFile(join(root, "foreign", "letter"), "dear");
    await expect(restore(path, join(root, "foreign"))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    await expect(restore(path, join(root, "foreign", "letter"))).rejects.toMatchObject({
      code: "PATH_UNUSABLE",
    });
    const target = join(root, "new");
    await expect(restore(join(root, "none"), target)).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    await expect(restore(join(root, "data"), target)).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    const checkpoint = join(root, "data", "checkpoint", "000000000001");
    await expect(restore(checkpoint, target)).rejects.toMatchObject({ code: "NOT_A_STORE" });
    await expect(restore(join(root, "foreign", "letter"), target)).rejects.toMatchObject({
      code: "NOT_A_STORE",
    });
    await expect(verify(join(root, "foreign", "letter"))).rejects.toMatchObject({ code: "NOT_A_STORE" });
    const stop = new AbortController();
    const onProgress = (): void => stop.abort();
    await expect(restore(path, target, { signal: stop.signal, onProgress })).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect((await readdir(root)).sort()).toEqual(["backup", "data", "foreign"]);
  });

  test("T-SNAP-01, T-FUZZ-01: each flipped bit and each cut of a backup, by verify and restore", async () => {
    const root = await temporaryDirectory();
    const db = await open<string>(join(root, "data"));
    await db.set("k", "v");
    await db.set(["tuple", 1n], "w");
    const { path } = await db.backup(join(root, "backup"));
    await db.close();
    const whole = readFileSync(path);
    const bad = join(root, "bad");
    const check = async (label: string): Promise<void> => {
      const report = await verify(bad).catch((error: { code: string }) => error);
      const refused = "code" in report ? report.code === "NOT_A_STORE" : !report.ok;
      expect(refused, label).toBe(true);
      const runtime = nodeRuntime();
      const error = await restore(bad, join(root, "new"), { runtime }).catch(
        (thrown: { code: string }) => thrown,
      );
      expect(["CORRUPT", "NOT_A_STORE"], label).toContain((error as { code: string }).code);
    };
    for (let bit = 0; bit < whole.length * 8; bit += 3) {
      const bytes = Uint8Array.from(whole);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      writeFileSync(bad, bytes);
      await check(`bit ${bit}`);
    }
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(bad, whole.subarray(0, length));
      await check(`cut at ${length}`);
    }
    await rm(bad);
    expect((await readdir(root)).sort()).toEqual(["backup", "data"]);
  }, 600_000);
});
