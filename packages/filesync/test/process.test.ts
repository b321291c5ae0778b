import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
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
