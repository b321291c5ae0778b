import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "fulmar";
import { describe, expect, it } from "vitest";
import { freshPath, fulmar, RecordingSink } from "./support.js";

/** A store with three entries of the JSON codec. */
async function sample(): Promise<string> {
  const directory = await freshPath();
  const store = await open(directory);
  await store.batch([
    { type: "set", key: "a", value: 1 },
    { type: "set", key: "b", value: { deep: [true, null] } },
    { type: "set", key: ["user", 1], value: "Ada" },
  ]);
  await store.close();
  return directory;
}

/** Flips one bit inside the one record of the log, which was synced. */
function damage(directory: string): void {
  const log = join(directory, "log");
  const segment = join(log, readdirSync(log)[0]);
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf("Ada")] ^= 1;
  writeFileSync(segment, bytes);
}

describe("set, get and delete", () => {
  it("round the values of each codec", async () => {
    for (const [codec, value] of [
      ["json", '{"name":"Ada"}'],
      ["text", "line one\nline two"],
      ["bytes", "AAEC/w=="],
    ]) {
      const directory = await freshPath();
      const set = await fulmar(["set", directory, "key", value, "--codec", codec, "--create"]);
      expect(set, codec).toMatchObject({ code: 0, err: "" });
      expect(await fulmar(["get", directory, "key", "--codec", codec])).toEqual({
        code: 0,
        out: `${value}\n`,
        err: "",
      });
      expect((await fulmar(["delete", directory, "key", "--codec", codec])).code).toBe(0);
      expect((await fulmar(["get", directory, "key", "--codec", codec])).code).toBe(1);
    }
  });

  it("take keys of any kind as JSON", async () => {
    const directory = await sample();
    expect((await fulmar(["get", directory, '["user",1]', "--key-json"])).out).toBe('"Ada"\n');
    const key = '[{"bytes":"AAE="},{"bigint":"-12345678901234567890"}]';
    await fulmar(["set", directory, key, "1", "--key-json"]);
    expect(JSON.parse((await fulmar(["get", directory, key, "--key-json", "--json"])).out)).toMatchObject({
      key: JSON.parse(key),
      value: 1,
    });
  });

  it("print version, stamp and deadline as JSON", async () => {
    const directory = await sample();
    const set = JSON.parse((await fulmar(["set", directory, "soon", "1", "--ttl", "3600000", "--json"])).out);
    const entry = JSON.parse((await fulmar(["get", directory, "soon", "--json"])).out);
    expect(entry).toEqual({ key: "soon", value: 1, ...set, expiresAt: expect.any(Number) });
    expect(set.stamp).toEqual({
      hlc: expect.any(Number),
      origin: expect.stringMatching(/^[0-9a-f]{32}$/),
      seq: expect.any(Number),
    });
  });

  it("read a value from standard input", async () => {
    const directory = await freshPath();
    const raw = Uint8Array.of(0, 255, 10);
    await fulmar(["set", directory, "k", "--stdin", "--codec", "bytes", "--create"], { input: raw });
    expect((await fulmar(["get", directory, "k", "--codec", "bytes"])).out).toBe("AP8K\n");
    expect((await fulmar(["set", directory, "k", "1", "--stdin"])).code).toBe(2);
    expect((await fulmar(["set", directory, "k"])).code).toBe(2);
  });

  it("refuse a value on standard input that is too large, and store no part of it", async () => {
    const directory = await freshPath();
    const piece = new Uint8Array(1024 * 1024);
    async function* inputPieces(): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < 65; count++) yield piece;
    }
    const line = ["set", directory, "k", "--stdin", "--codec", "bytes", "--create"];
    expect(await fulmar(line, { inputPieces })).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("VALUE_TOO_LARGE"),
    });
    expect((await fulmar(["get", directory, "k"])).code).toBe(5);
  });

  it("say so when there is no such key", async () => {
    const directory = await sample();
    for (const command of ["get", "delete"]) {
      expect(await fulmar([command, directory, "c"])).toMatchObject({
        code: 1,
        out: "",
        err: expect.stringContaining("KEY_NOT_FOUND"),
      });
    }
  });

  it("show a terminal nothing that could steer it", async () => {
    const directory = await freshPath();
    await fulmar(["set", directory, "k", "\u001b[2Jx", "--codec", "text", "--create"]);
    const stdout = new RecordingSink({ interactive: true });
    expect((await fulmar(["get", directory, "k", "--codec", "text"], { stdout })).out).toBe(
      '"\\u001b[2Jx"\n',
    );
    expect((await fulmar(["list", directory, "--codec", "text"])).out).not.toContain("\u001b");
  });
});

describe("list", () => {
  it("prints key, tab, value in order of key", async () => {
    const directory = await sample();
    expect((await fulmar(["list", directory])).out).toBe(
      'a\t1\nb\t{"deep":[true,null]}\n["user",1]\t"Ada"\n',
    );
  });

  it("takes bounds, order and limit", async () => {
    const directory = await sample();
    const keys = async (...options: string[]): Promise<string[]> =>
      (await fulmar(["list", directory, "--keys-only", ...options])).out.split("\n").slice(0, -1);
    expect(await keys("--prefix", "a")).toEqual(["a"]);
    expect(await keys("--gt", "a", "--lte", "b")).toEqual(["b"]);
    expect(await keys("--gte", "a", "--lt", "b")).toEqual(["a"]);
    expect(await keys("--reverse", "--limit", "2")).toEqual(['["user",1]', "b"]);
    expect(await keys("--prefix", '["user"]', "--key-json")).toEqual(['["user",1]']);
    expect(await keys("--limit", "0")).toEqual([]);
  });

  it("prints JSON lines", async () => {
    const { out } = await fulmar(["list", await sample(), "--json"]);
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ key, value }) => [key, value])).toEqual([
      ["a", 1],
      ["b", { deep: [true, null] }],
      [["user", 1], "Ada"],
    ]);
  });

  it("prints what it could read before a value of another codec", async () => {
    const directory = await freshPath();
    await fulmar(["set", directory, "a", "1", "--create"]);
    await fulmar(["set", directory, "b", "not JSON", "--codec", "text"]);
    const { code, out, err } = await fulmar(["list", directory]);
    expect([code, out]).toEqual([2, "a\t1\n"]);
    expect(err).toContain("INVALID_VALUE");
  });

  it("ends in peace when its reader goes away", async () => {
    const stdout = new RecordingSink({ closesAfter: 0 });
    expect(await fulmar(["list", await sample()], { stdout })).toMatchObject({ code: 0, err: "" });
  });
});

describe("status", () => {
  it("tells size and identity", async () => {
    const directory = await sample();
    expect((await fulmar(["status", directory])).out).toMatch(/^entries +3 /m);
    const json = JSON.parse((await fulmar(["status", directory, "--json"])).out);
    expect(json).toMatchObject({ entries: 3, storeId: expect.any(String), state: "open" });
  });
});

describe("a directory without a store", () => {
  const reading = [["get", "k"], ["list"], ["status"], ["check"], ["delete", "k"], ["set", "k", "1"]];

  it("is not made into one, except by set --create", async () => {
    for (const [command, ...rest] of reading) {
      const missing = await freshPath();
      expect(await fulmar([command, missing, ...rest]), command).toMatchObject({ code: 5, out: "" });
      expect(existsSync(missing), command).toBe(false);

      const empty = await freshPath();
      mkdirSync(empty);
      const { code, err } = await fulmar([command, empty, ...rest, "--json"]);
      expect(code, command).toBe(5);
      expect(JSON.parse(err)).toMatchObject({ code: "NOT_A_STORE", hint: expect.any(String) });
      expect(existsSync(join(empty, "MANIFEST")), command).toBe(false);
    }
  });

  it("may be a file", async () => {
    const path = await freshPath();
    writeFileSync(path, "");
    expect(await fulmar(["list", path])).toMatchObject({
      code: 5,
      err: expect.stringContaining("PATH_UNUSABLE"),
    });
  });

  it("with other files is left alone by set --create", async () => {
    const path = await freshPath();
    mkdirSync(path);
    writeFileSync(join(path, "thesis.txt"), "");
    expect((await fulmar(["set", path, "k", "1", "--create"])).code).toBe(5);
    expect(existsSync(join(path, "MANIFEST"))).toBe(false);
  });
});

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
    expect(await fulmar(["check", file])).toMatchObject({ code: 1, out: expect.stringMatching(/DAMAGED/) });
    expect(existsSync(target)).toBe(false);
  });
});

describe("dump and load", () => {
  it("carry keys of any kind and values of any codec through text", async () => {
    const directory = await sample();
    await fulmar([
      "set",
      directory,
      '[{"bytes":"AAE="},{"bigint":"-12"}]',
      "x",
      "--key-json",
      "--codec",
      "text",
    ]);
    await fulmar(["set", directory, "raw", "AP8K", "--codec", "bytes", "--ttl", "3600000"]);
    const { out } = await fulmar(["dump", directory]);
    expect(out.split("\n")).toHaveLength(8);
    const target = await freshPath();
    expect((await fulmar(["load", target], { input: out })).code).toBe(5);
    expect(await fulmar(["load", target, "--create"], { input: out })).toEqual({
      code: 0,
      out: "loaded 5 entries\n",
      err: "",
    });
    const without = (text: string): string[] => text.split("\n").slice(1);
    expect(without((await fulmar(["dump", target])).out)).toEqual(without(out));
    const some = await fulmar(["dump", target, "--prefix", '["user"]', "--key-json"]);
    expect(without(some.out)).toEqual(['{"key":["user",1],"value":"Ada"}', '{"end":1}', ""]);
  });

  it("name the line that is wrong, having stored those before it", async () => {
    const target = await freshPath();
    const input = '{"key":1,"value":1}\n{"key":2}\n{"key":3,"value":3}\n';
    const { code, err } = await fulmar(["load", target, "--create", "--json", "--batch", "1"], { input });
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ code: "DUMP_INVALID", details: { line: 2 } });
    expect((await fulmar(["list", target])).out).toBe("1\t1\n");
  });

  it("show people how far they are", async () => {
    const stderr = new RecordingSink({ interactive: true });
    await fulmar(["load", await freshPath(), "--create"], { stderr, input: '{"key":1,"value":1}\n' });
    expect(stderr.text).toContain("loading 1 entries");
    expect(stderr.text.endsWith("\r\u001b[K")).toBe(true);
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
