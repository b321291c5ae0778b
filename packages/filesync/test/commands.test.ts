import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { check } from "../src/commands/check.js";
import { sizeText, textOf } from "../src/commands/report.js";
import { run } from "../src/commands/run.js";
import { parseDemoArguments } from "../src/demo/arguments.js";
import { compareBytes } from "../src/demo/byte-compare.js";
import { memoryStore, mirrorNode, temporaryDirectory } from "./harness.js";

function captured(stream: "stdout" | "stderr"): string[] {
  const lines: string[] = [];
  const spy = vi.spyOn(process[stream], "write").mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  onTestFinished(() => spy.mockRestore());
  return lines;
}

async function twoTrees(): Promise<[string, string]> {
  const trees: [string, string] = [await temporaryDirectory(), await temporaryDirectory()];
  for (const tree of trees) await writeFile(join(tree, "f"), "same");
  return trees;
}

test("check: 0 for equal trees, 1 for different ones with a list, 2 for wrong usage", async () => {
  const out = captured("stdout");
  const errors = captured("stderr");
  const [a, b] = await twoTrees();
  expect(await check([a, b], false)).toBe(0);
  expect(out.join("")).toContain("equal: 2 trees of 1 files");
  await writeFile(join(b, "f"), "diff");
  expect(await check([a, b], false)).toBe(1);
  expect(out.join("")).toContain("content  f");
  expect(await check([a], false)).toBe(2);
  expect(await check([a, join(b, "none")], false)).toBe(2);
  expect(errors.join("")).toContain("none is not a directory");
});

test("check --json prints one object", async () => {
  const out = captured("stdout");
  const [a, b] = await twoTrees();
  await writeFile(join(a, "extra"), "");
  expect(await check([a, b], true)).toBe(1);
  expect(JSON.parse(out.join(""))).toMatchObject({
    equal: false,
    files: 2,
    differences: [{ path: "extra", directory: b, what: "missing" }],
  });
});

test("run refuses to mirror its own data", async () => {
  const errors = captured("stderr");
  const base = await temporaryDirectory();
  const flags = { peer: [], report: "text", reportInterval: 1000, rescanInterval: 30_000 } as const;
  expect(await run({ ...flags, dir: base, data: join(base, "data") })).toBe(2);
  expect(await run({ ...flags, dir: join(base, "data/tree"), data: join(base, "data") })).toBe(2);
  expect(await run({ ...flags, dir: base, data: base })).toBe(2);
  expect(errors.join("")).toContain("must not lie in each other");
});

test("the status line for people", async () => {
  const store = await memoryStore();
  const node = await mirrorNode(store);
  await writeFile(join(node.directory, "f"), new Uint8Array(3000));
  await node.mirror.rescan();
  const report = { type: "status", name: "a", peers: [], entries: 2, version: 1 } as const;
  expect(textOf({ ...report, ...node.mirror.status() })).toBe(
    "a  not listening  peers 0/0  files 1  2.9 KiB  in step",
  );
  expect([sizeText(0), sizeText(1023), sizeText(1024), sizeText(5 * 2 ** 30)]).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "5.0 GiB",
  ]);
});

test("the demonstration's arguments", () => {
  expect(parseDemoArguments(["--once", "--source", "x"])).toEqual({
    once: true,
    source: "x",
    base: undefined,
    help: false,
  });
  expect(() => parseDemoArguments(["--twice"])).toThrow(TypeError);
});

test("the demonstration's own comparison sees every kind of difference", async () => {
  const [a, b] = await twoTrees();
  expect(await compareBytes([a, b])).toMatchObject({ files: 1, bytes: 4 });
  await mkdir(join(b, "d"));
  await writeFile(join(b, "f"), "diff");
  const differences = (await compareBytes([a, b])) as string[];
  expect(differences.map((line) => line.split(":")[0])).toEqual(["f", "d"]);
});
