import { readFileSync } from "node:fs";
import { FulmarError } from "fulmar";
import { describe, expect, it } from "vitest";
import { CommandError, describeReport, reportOf } from "../src/errors.js";
import { EXIT_CODES, exitCodeOf } from "../src/exit-codes.js";
import { freshPath, fulmar } from "./support.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8").replace(/ +\|/g, " |");

describe("usage", () => {
  it("is explained by help, with every exit code", async () => {
    for (const argv of [["--help"], ["help"]]) {
      const { code, out, err } = await fulmar(argv);
      expect([code, err]).toEqual([0, ""]);
      for (const { code: exit, meaning } of EXIT_CODES) expect(out).toContain(`  ${exit}  ${meaning}`);
    }
    expect((await fulmar(["help", "list"])).out).toContain("--keys-only");
  });

  it("is explained by the README in the same words", () => {
    for (const { code, meaning } of EXIT_CODES) expect(readme).toContain(`| ${code} | ${meaning} |`);
  });

  it("mentions every option of every command in the README", async () => {
    for (const command of [
      "get",
      "set",
      "delete",
      "list",
      "status",
      "check",
      "repair",
      "backup",
      "restore",
      "dump",
      "load",
    ]) {
      const { out } = await fulmar(["help", command]);
      expect(readme).toContain(`| \`fulmar ${command} `);
      for (const [option] of out.matchAll(/--[a-z-]+/g))
        if (option !== "--help") expect(readme, option).toContain(option);
    }
  });

  it("prints the version", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
    expect(await fulmar(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
  });

  it("that is wrong ends with 2, a reason and what to do", async () => {
    const directory = await freshPath();
    const wrong = [
      [],
      ["frobnicate"],
      ["get"],
      ["get", directory],
      ["get", directory, "k", "surplus"],
      ["get", directory, "k", "--nonsense"],
      ["get", directory, "k", "--codec", "xml"],
      ["set", directory, "k", "1", "--ttl", "1.5"],
      ["set", directory, "k", "1", "--ttl", "0"],
      ["set", directory, "k", "1", "--durability", "some"],
      ["set", directory, "k", "hello", "--create"],
      ["list", directory, "--limit", "-1"],
      ["list", directory, "--prefix", "{", "--key-json"],
    ];
    for (const argv of wrong) {
      const { code, out, err } = await fulmar(argv);
      expect([code, out], argv.join(" ")).toEqual([2, ""]);
      expect(err, argv.join(" ")).toMatch(/^fulmar: .+ \[[A-Z_]+\]\n {2}.+\n$/);
    }
  });

  it("that is wrong is an object with --json", async () => {
    const { code, err } = await fulmar(["get", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(err)).toEqual({
      code: "USAGE",
      message: expect.stringContaining("dir"),
      hint: expect.any(String),
    });
  });

  it("takes keys that begin with a dash after --", async () => {
    const directory = await freshPath();
    await fulmar(["set", "--create", "--codec", "text", "--", directory, "-k", "--json"]);
    expect((await fulmar(["get", "--codec", "text", "--", directory, "-k"])).out).toBe("--json\n");
    expect((await fulmar(["get", "--codec", "text", "--", directory, "--json"])).err).toMatch(/^fulmar: /);
  });
});

describe("errors", () => {
  it("have an exit code each, and 6 when unknown", () => {
    expect(exitCodeOf(new FulmarError("LOCKED", "x"))).toBe(3);
    expect(exitCodeOf(new FulmarError("CORRUPT", "x"))).toBe(4);
    expect(exitCodeOf(new FulmarError("FORMAT_NEWER", "x"))).toBe(5);
    expect(exitCodeOf(new FulmarError("DISK_FULL", "x"))).toBe(6);
    expect(exitCodeOf(new CommandError("KEY_NOT_FOUND", "x"))).toBe(1);
    expect(exitCodeOf(new Error("x"))).toBe(6);
    expect(exitCodeOf("x")).toBe(6);
  });

  it.each([
    ["ACCESS_DENIED", "EACCES", "run as the user that owns the directory, or change its mode"],
    ["ACCESS_DENIED", "EROFS", undefined],
    ["DISK_FULL", "ENOSPC", "free some space and try again; nothing was lost"],
    ["DISK_FULL", "EFBIG", undefined],
  ] as const)("hints at nothing that does not help: %s, %s", (code, system, hint) => {
    expect(reportOf(new FulmarError(code, "told by the message", { system })).hint).toBe(hint);
  });

  it("name the process that holds the directory", () => {
    const report = reportOf(new FulmarError("LOCKED", "the directory is held", { pid: 4711 }));
    expect(report).toMatchObject({ code: "LOCKED", details: { pid: 4711 } });
    expect(describeReport(report)).toBe(
      "fulmar: the directory is held (process 4711) [LOCKED]\n" +
        "  close the store in that process, or stop the process, and try again\n",
    );
  });
});
