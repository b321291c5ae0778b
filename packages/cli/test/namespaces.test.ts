import { open } from "fulmar";
import { describe, expect, it } from "vitest";
import { freshPath, fulmar } from "./support.js";

async function sample(): Promise<string> {
  const directory = await freshPath();
  await using db = await open(directory);
  await db.set("k", "store");
  await db.namespace("a").set("k", { of: "a" });
  await db.namespace<string>("b\n", { codec: "text" }).set(["t", 1], "of b");
  return directory;
}

describe("--namespace", () => {
  it("gets, sets, deletes and lists the keys of a namespace, and no others", async () => {
    const directory = await sample();
    const of = (...argv: string[]) => fulmar([argv[0], directory, ...argv.slice(1)]);
    expect((await of("get", "k")).out).toBe('"store"\n');
    expect((await of("get", "k", "--namespace", "a")).out).toBe('{"of":"a"}\n');
    expect(await of("get", "other", "--namespace", "a")).toMatchObject({ code: 1 });
    expect(await of("get", "k", "--namespace", "unknown")).toMatchObject({ code: 1 });
    expect((await of("set", "j", "5", "--namespace", "a", "--ttl", "60000")).code).toBe(0);
    expect((await of("list", "--namespace", "a")).out).toBe('j\t5\nk\t{"of":"a"}\n');
    expect((await of("list", "--namespace", "a", "--prefix", "k", "--keys-only")).out).toBe("k\n");
    expect((await of("list")).out).toBe('k\t"store"\n');
    const own = await of("get", '["t",1]', "--key-json", "--namespace", "b\n", "--codec", "text");
    expect(own.out).toBe("of b\n");
    expect(JSON.parse((await of("get", "j", "--namespace", "a", "--json")).out)).toMatchObject({
      key: "j",
      value: 5,
    });
    expect((await of("delete", "k", "--namespace", "a")).code).toBe(0);
    expect(await of("delete", "k", "--namespace", "a")).toMatchObject({ code: 1 });
    expect((await of("get", "k")).code).toBe(0);
  });

  it("refuses what is no name", async () => {
    const directory = await sample();
    expect(await fulmar(["get", directory, "k", "--namespace", ""])).toMatchObject({ code: 2 });
    expect(await fulmar(["list", directory, "--namespace", "x".repeat(256)])).toMatchObject({ code: 2 });
  });

  it("dumps one namespace, with bounds or without", async () => {
    const directory = await sample();
    const all = (await fulmar(["dump", directory])).out.trim().split("\n");
    expect(all).toHaveLength(5);
    const one = (await fulmar(["dump", directory, "--namespace", "a"])).out.trim().split("\n");
    expect(one.slice(1, -1)).toEqual(['{"namespace":"a","key":"k","value":{"of":"a"}}']);
    const none = (await fulmar(["dump", directory, "--namespace", "a", "--gt", "k"])).out.trim().split("\n");
    expect(none).toHaveLength(2);
    const copy = await freshPath();
    expect((await fulmar(["load", copy, "--create"], { input: `${one.join("\n")}\n` })).code).toBe(0);
    expect((await fulmar(["namespaces", copy])).out).toBe("a\n");
  });
});

describe("namespaces", () => {
  it("prints names on a line each, as JSON if asked", async () => {
    const directory = await sample();
    expect(await fulmar(["namespaces", directory])).toEqual({ code: 0, out: 'a\n"b\\n"\n', err: "" });
    expect((await fulmar(["namespaces", directory, "--json"])).out).toBe('"a"\n"b\\n"\n');
    expect(await fulmar(["namespaces", `${directory}-none`])).toMatchObject({ code: 5, out: "" });
    await fulmar(["delete", directory, "k", "--namespace", "a"]);
    expect((await fulmar(["namespaces", directory])).out).toBe('"b\\n"\n');
  });
});
