import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freshPath, fulmar, RecordingSink, sample } from "./support.js";

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

  it("is made by the command that said there is none, with the option that it names", async () => {
    const missing = await freshPath();
    const input = '{"key":1,"value":1}\n';
    expect((await fulmar(["load", missing], { input })).err).toMatch(/`load` .* --create/);
    expect((await fulmar(["load", missing, "--create"], { input })).code).toBe(0);
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
