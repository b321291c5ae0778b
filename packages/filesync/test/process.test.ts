import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./harness.js";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));

test("run ends when it cannot begin, also while standard input is open", async () => {
  const base = await temporaryDirectory();
  await mkdir(join(base, "tree"));
  const places = ["--dir", join(base, "tree"), "--data", join(base, "data")];
  for (const [problem, exit] of [
    [["--data", join(base, "tree", "data")], 2],
    [["--peer", "bad:::"], 1],
  ] as const) {
    const child = spawn(process.execPath, [main, "run", ...places, ...problem, "--until-stdin-ends"]);
    const [code] = await once(child, "close", { signal: AbortSignal.timeout(20_000) }).finally(() =>
      child.kill("SIGKILL"),
    );
    expect(code).toBe(exit);
  }
}, 60_000);

/** Runs `check` as somebody who is kept out by a mode, which root is not; resolves to exit code and output. */
async function checkAsNobody(directories: string, isRead = true): Promise<[number, string, string]> {
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const child = spawn(process.execPath, [main, "check", "--dirs", directories], nobody);
  const texts = ["", ""];
  child.stdout.on("data", (text) => (texts[0] += String(text)));
  child.stderr.on("data", (text) => (texts[1] += String(text)));
  if (!isRead) child.stdout.destroy();
  const [code] = await once(child, "close");
  return [code, ...(texts as [string, string])];
}

async function treesWithOneFile(...contents: string[]): Promise<string[]> {
  const base = await temporaryDirectory();
  await chmod(base, 0o755);
  const trees = contents.map((_, i) => join(base, String(i)));
  for (const [i, tree] of trees.entries()) {
    await mkdir(join(tree, "d"), { recursive: true });
    await writeFile(join(tree, "d", "f"), contents[i] as string);
  }
  return trees;
}

test.skipIf(process.platform === "win32")(
  "check: what cannot be read is neither equal nor different",
  async () => {
    const trees = await treesWithOneFile("one", "two");
    for (const tree of trees) await chmod(join(tree, "d", "f"), 0);
    expect(await checkAsNobody(trees.join())).toEqual([2, "", expect.stringContaining("EACCES")]);
    for (const tree of trees) await chmod(join(tree, "d"), 0);
    const [code, out] = await checkAsNobody(trees.join());
    for (const tree of trees) await chmod(join(tree, "d"), 0o755);
    expect([code, out]).toEqual([2, expect.stringContaining("not compared: 2 files or directories")]);
    expect(out).not.toContain("equal:");
  },
);

test("check: the answer is the same where nobody reads it", async () => {
  for (const [second, exit] of [
    ["one", 0],
    ["two", 1],
  ] as const) {
    const trees = await treesWithOneFile("one", second);
    expect(await checkAsNobody(trees.join(), false)).toEqual([exit, "", ""]);
  }
});
