import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "./harness.js";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
/** So that a node tells what it has at once, and ends when the test wants it to. */
const TOLD = ["--report", "json", "--report-interval", "50", "--until-stdin-ends"];

interface Report {
  readonly address: string;
  readonly files: number;
  readonly idle: boolean;
}

/** The commands of the page, in order. */
function commands(): string[][] {
  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const lines = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = ""]) => block.split("\n"));
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(" "));
}

function started(words: readonly string[]): ChildProcessWithoutNullStreams {
  expect(words[0]).toBe("fulmar-filesync");
  const child = spawn(process.execPath, [main, ...words.slice(1)]);
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function reported(
  node: ChildProcessWithoutNullStreams,
  is: (report: Report) => boolean,
): Promise<Report> {
  const lines = createInterface({ input: node.stdout });
  for await (const line of lines) {
    const report = JSON.parse(line) as Report;
    if (is(report)) return report;
  }
  throw new Error("the node ended");
}

async function ended(child: ChildProcessWithoutNullStreams): Promise<unknown> {
  const closed = once(child, "close");
  child.stdin.end();
  child.stdout.resume();
  return (await closed)[0];
}

test("the page shows commands that work, on two machines and then on one", async () => {
  const base = await temporaryDirectory();
  const homes = [join(base, "1"), join(base, "2")] as const;
  for (const home of homes) {
    await mkdir(join(home, "shared"), { recursive: true });
    await writeFile(join(home, ".secret"), "a secret for one test only");
  }
  await writeFile(join(homes[0], "shared", "f"), "content");
  const [first = [], second = [], check = [], ...others] = commands();
  expect(others).toEqual([]);
  let peer = "";
  /** What the words of the page stand for here. */
  const here = (words: readonly string[], home: string): string[] =>
    words.map((word, i) => {
      if (words[i - 1] === "--listen") return "127.0.0.1:0";
      if (words[i - 1] === "--peer") return peer;
      return word.replaceAll("~", home).replace("/mnt/copy", join(homes[1], "shared"));
    });
  const one = started([...here(first, homes[0]), ...TOLD]);
  ({ address: peer } = await reported(one, ({ files, idle }) => idle && files === 1));
  one.stdout.resume();
  const two = started([...here(second, homes[1]), ...TOLD]);
  await reported(two, ({ files, idle }) => idle && files === 1);
  expect([await ended(two), await ended(one)]).toEqual([0, 0]);
  const compared = started(here(check, homes[0]));
  let told = "";
  compared.stdout.on("data", (text) => {
    told += String(text);
  });
  expect([(await once(compared, "close"))[0], told]).toEqual([
    0,
    "equal: 2 trees of 1 files, 0 directories, 7 bytes\n",
  ]);
}, 60_000);
