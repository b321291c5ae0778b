import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { open } from "fulmar";
import { describe, expect, it } from "vitest";
import { damage, freshPath, fulmar, RecordingSink, sample } from "./support.js";

/** Raises the format number of each part of a file: its beginning, and how many bytes its checksum is of. */
function makeNewer(path: string, parts: readonly [number, number][]): void {
  const bytes = readFileSync(path);
  for (const [at, length] of parts) {
    bytes.writeUInt32LE(2, at + 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, at + length)), at + length);
  }
  writeFileSync(path, bytes);
}

describe("a damaged store", () => {
  it("is refused with the code for damage", async () => {
    const directory = await sample();
    damage(directory);
    expect((await fulmar(["list", directory])).code).toBe(4);
    const { code, out } = await fulmar(["check", directory, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      findings: [expect.objectContaining({ severity: "problem" })],
    });
    expect((await fulmar(["check", directory])).out).toMatch(/DAMAGED/);
  });

  it("stays one when nobody reads what check, or the error, says", async () => {
    const directory = await sample();
    damage(directory);
    const closed = (): RecordingSink => new RecordingSink({ closesAfter: 0 });
    expect((await fulmar(["check", directory], { stdout: closed() })).code).toBe(1);
    expect((await fulmar(["list", directory], { stderr: closed() })).code).toBe(4);
    expect((await fulmar(["set", directory], { stderr: closed() })).code).toBe(2);
  });

  it("is not what a newer version wrote: that is to be read by that version, and not to be repaired", async () => {
    const directory = await sample();
    const file = await freshPath("monday.backup");
    await fulmar(["backup", directory, file]);
    makeNewer(join(directory, "MANIFEST"), [
      [0, 4092],
      [4096, 4092],
    ]);
    makeNewer(file, [[0, 104]]);
    for (const path of [directory, file]) {
      const { code, out } = await fulmar(["check", path]);
      expect([code, out]).toEqual([
        5,
        expect.stringMatching(/in format 2: update Fulmar\n.*: NOT CHECKED: /),
      ]);
      expect(out).not.toMatch(/DAMAGED|repair|restore/);
      const { findings } = JSON.parse((await fulmar(["check", path, "--json"])).out);
      expect(findings).toMatchObject([{ severity: "problem", code: "FORMAT_NEWER" }]);
    }
  });

  it("is told to be sound but for what only watches read, if that is all", async () => {
    const directory = await freshPath();
    const db = await open<string>(directory, { segmentBytes: 65_536 });
    for (let n = 0; n < 30; n++) await db.set("k", String(n).padEnd(10_000, "x"));
    await db.checkpoint();
    await db.close();
    const path = join(directory, "log", "000000000001.log");
    const bytes = readFileSync(path);
    bytes[5000] ^= 1;
    writeFileSync(path, bytes);
    const { code, out } = await fulmar(["check", directory]);
    expect(code).toBe(1);
    expect(out).toMatch(/^history: .*000000000001.log at byte .*watches alone/m);
    expect(out).toMatch(/only watches that resume are affected; nothing to repair\n$/);
    expect((await fulmar(["repair", directory])).out).toMatch(/nothing to repair/);
  });

  it("is told from a sound one by check", async () => {
    const directory = await sample();
    expect(await fulmar(["check", directory])).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("3 entries"),
    });
    expect(JSON.parse((await fulmar(["check", directory, "--json"])).out)).toMatchObject({
      ok: true,
      entries: 3,
    });
  });

  it("names no repair behind the message that none can go on", async () => {
    const directory = await sample();
    writeFileSync(join(directory, "REPAIRING"), "{");
    expect((await fulmar(["list", directory])).err).toMatch(/run "fulmar repair" again .*\[CORRUPT\]\n$/);
    const { code, err } = await fulmar(["repair", directory]);
    expect([code, err]).toEqual([
      4,
      expect.stringMatching(/restore a backup, or copy from a peer \[CORRUPT\]\n$/),
    ]);
  });

  it("shows progress to people only", async () => {
    const directory = await sample();
    const stderr = new RecordingSink({ interactive: true });
    await fulmar(["check", directory], { stderr });
    expect(stderr.text).toContain("checking");
    // Wiped at the end, so that it does not stay beside the result.
    expect(stderr.text.endsWith("\r\u001b[K")).toBe(true);
  });
});

describe("backup and restore", () => {
  it("carry a store into a new directory, and check looks at the file between", async () => {
    const directory = await sample();
    const file = await freshPath("one.backup");
    const made = await fulmar(["backup", directory, file, "--json"]);
    expect(JSON.parse(made.out)).toEqual({ path: file, version: 1, entries: 3, bytes: expect.any(Number) });
    const checked = await fulmar(["check", file]);
    expect(checked).toMatchObject({
      code: 0,
      out: expect.stringContaining("a backup: 3 entries of version 1"),
    });
    const target = await freshPath("restored");
    expect((await fulmar(["restore", file, target])).out).toContain("3 entries of version 1");
    expect((await fulmar(["list", target])).out).toBe((await fulmar(["list", directory])).out);
  });

  it("overwrite nothing, and refuse what is damaged or no backup", async () => {
    const directory = await sample();
    const file = await freshPath("one.backup");
    const stderr = new RecordingSink({ interactive: true });
    expect((await fulmar(["backup", directory, file], { stderr })).code).toBe(0);
    expect(stderr.text.endsWith("\r\u001b[K")).toBe(true);
    expect(await fulmar(["backup", directory, file])).toMatchObject({
      code: 5,
      err: expect.stringContaining("ALREADY_EXISTS"),
    });
    expect((await fulmar(["restore", file, directory])).code).toBe(5);
    expect((await fulmar(["backup", await freshPath(), await freshPath("x")])).code).toBe(5);
    const bytes = readFileSync(file);
    bytes[bytes.indexOf("Ada")] ^= 1;
    writeFileSync(file, bytes);
    const target = await freshPath("restored");
    expect((await fulmar(["restore", file, target])).code).toBe(4);
    // A repair is of directories only.
    const out = expect.stringMatching(/DAMAGED: nothing can be restored from it/);
    expect(await fulmar(["check", file])).toMatchObject({ code: 1, out });
    expect(existsSync(target)).toBe(false);
  });
});

describe("repair", () => {
  it("saves the rest of a damaged store, which check has told before", async () => {
    const directory = await freshPath();
    for (const key of ["a", "b", "c"]) await fulmar(["set", directory, key, `"value ${key}"`, "--create"]);
    const segment = join(directory, "log", readdirSync(join(directory, "log"))[0]);
    const bytes = readFileSync(segment);
    bytes[bytes.indexOf("value b")] ^= 1;
    writeFileSync(segment, bytes);
    const checked = await fulmar(["check", directory]);
    expect(checked.code).toBe(1);
    expect(checked.out).toMatch(/a repair would save 2 entries\nlost: .*versions 2 to 2\n.*fulmar repair/s);
    expect(JSON.parse((await fulmar(["check", directory, "--json"])).out).repair).toMatchObject({
      entries: 2,
    });
    expect((await fulmar(["repair", directory, "--dry-run"])).out).toContain("2 entries would be saved");
    expect((await fulmar(["list", directory])).code).toBe(4);
    const repaired = await fulmar(["repair", directory]);
    expect(repaired).toMatchObject({ code: 0, out: expect.stringContaining("2 entries saved") });
    expect(repaired.out).toContain(join(directory, "damaged-1"));
    expect((await fulmar(["list", directory, "--keys-only"])).out).toBe("a\nc\n");
    expect((await fulmar(["repair", directory])).out).toContain("nothing to repair");
    expect(JSON.parse((await fulmar(["repair", directory, "--json"])).out)).toMatchObject({ damaged: false });
  });

  it("says that nothing is lost where a file was only renamed", async () => {
    const directory = await freshPath();
    await fulmar(["set", directory, "a", '"value a"', "--create"]);
    const log = join(directory, "log");
    renameSync(join(log, readdirSync(log)[0]), join(log, "000000000009.log"));
    expect((await fulmar(["list", directory])).code).toBe(4);
    const { out } = await fulmar(["repair", directory]);
    expect(out).toMatch(/^lost: nothing, as far as the files tell\n.*1 entries saved/s);
    expect((await fulmar(["list", directory, "--keys-only"])).out).toBe("a\n");
  });

  it("says how much of a lost block stood in the log", async () => {
    const directory = await freshPath();
    const db = await open<string>(directory);
    for (const key of ["a", "b", "c"]) await db.set(key, "x".repeat(50_000));
    await db.checkpoint();
    await db.close();
    const checkpoint = join(directory, "checkpoint", readdirSync(join(directory, "checkpoint"))[0]);
    const bytes = readFileSync(checkpoint);
    bytes[1000] ^= 1;
    writeFileSync(checkpoint, bytes);
    const lines =
      /lost: .*block 0 of 2 entries.*\nfound: 2 entries that checkpoint\/\d+ has lost, in the log\n/;
    const checked = await fulmar(["check", directory]);
    expect(checked.out).toMatch(lines);
    expect(checked.out).toContain("a repair would save 3 entries");
    const { out } = await fulmar(["repair", directory]);
    expect(out).toMatch(lines);
    expect(out).not.toContain("lost: nothing");
    expect((await fulmar(["list", directory, "--keys-only"])).out).toBe("a\nb\nc\n");
  });

  it("finds nothing to save where no store was", async () => {
    expect(await fulmar(["repair", await freshPath()])).toMatchObject({ code: 5 });
  });
});
