import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { open } from "fulmar";
import { describe, expect, it } from "vitest";
import { freshPath } from "./support.js";

const main = fileURLToPath(new URL("../dist/bundle/main.js", import.meta.url));

interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the built command; `stopReadingAfter` closes its output pipe after so many bytes, as `head` does. */
async function spawnFulmar(
  argv: readonly string[],
  stopReadingAfter = Number.POSITIVE_INFINITY,
): Promise<Finished> {
  const child = spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    if (out.length >= stopReadingAfter) child.stdout.destroy();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = await once(child, "close");
  return { code, out, err };
}

describe("the command that users get", () => {
  it("names the process that holds the directory", async () => {
    const directory = await freshPath();
    const store = await open(directory);
    try {
      await store.set("k", 1);
      const text = await spawnFulmar(["get", directory, "k"]);
      expect(text).toMatchObject({ code: 3, out: "" });
      expect(text.err).toMatch(/\[LOCKED\]/);
      expect(text.err).toContain(String(process.pid));
      const { code, err } = await spawnFulmar(["get", directory, "k", "--json"]);
      expect(code).toBe(3);
      expect(JSON.parse(err)).toMatchObject({ code: "LOCKED", details: { pid: process.pid } });
    } finally {
      await store.close();
    }
    expect(await spawnFulmar(["get", directory, "k"])).toEqual({ code: 0, out: "1\n", err: "" });
  });

  it("ends with 0 and in silence when the reader of its output goes away", async () => {
    const directory = await freshPath();
    const store = await open(directory);
    const operations = Array.from({ length: 5000 }, (_, count) => {
      return { type: "set", key: ["k", count], value: "x".repeat(200) } as const;
    });
    await store.batch(operations);
    await store.close();
    const { code, out, err } = await spawnFulmar(["list", directory], 1000);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.length).toBeLessThan(5000 * 200);
  });

  it("tells of an output that cannot be written by a code of its own", async (context) => {
    if (!existsSync("/dev/full")) return context.skip("this system has no /dev/full");
    const directory = await freshPath();
    const store = await open(directory);
    await store.set("k", 1);
    await store.close();
    const full = openSync("/dev/full", "w");
    try {
      const { status, stderr } = spawnSync(process.execPath, [main, "get", directory, "k"], {
        stdio: ["ignore", full, "pipe"],
        encoding: "utf8",
      });
      expect({ status, stderr }).toEqual({ status: 6, stderr: expect.stringContaining("[DISK_FULL]") });
    } finally {
      closeSync(full);
    }
  });
});
