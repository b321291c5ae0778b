import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { open } from "../../src/index.js";
import { Prng } from "../../src/testing/simulated/prng.js";
import { temporaryDirectory } from "../store/fixture.js";

/** Raise it for a long run: `FULMAR_KILLS=1000 npx vitest run packages/fulmar/test/crash`. */
const KILLS = Number(process.env.FULMAR_KILLS ?? 25);
const WRITER = fileURLToPath(new URL("./writer.mjs", import.meta.url));
const SEED = Number(process.env.FULMAR_SEED ?? Date.now() % 1_000_000);

interface Acknowledged {
  readonly lanes: Map<number, number>;
  last: number;
}

/**
 * Lets a process write until it has acknowledged `commits` more, then kills it in the middle of whatever
 * it does.
 */
async function writeAndKill(
  directory: string,
  durability: string,
  oracle: Acknowledged,
  commits: number,
): Promise<void> {
  const child = fork(WRITER, [directory, durability, String(oracle.last + 1)], { stdio: "inherit" });
  const exited = once(child, "exit");
  let left = commits;
  child.on("message", (message: "ready" | { lane: number; n: number }) => {
    if (message === "ready") return;
    oracle.lanes.set(message.lane, Math.max(message.n, oracle.lanes.get(message.lane) ?? 0));
    oracle.last = Math.max(oracle.last, message.n);
    if (--left === 0) child.kill("SIGKILL");
  });
  const [code, signal] = await exited;
  expect([code, signal]).toEqual([null, "SIGKILL"]);
}

/** Everything acknowledged is there, and no commit by half. */
async function check(directory: string, oracle: Acknowledged): Promise<void> {
  await using db = await open<unknown>(directory);
  for (const [lane, n] of oracle.lanes) {
    const left = db.get(["left", lane]) as number;
    expect(db.get(["right", lane])).toBe(left);
    expect(left).toBeGreaterThanOrEqual(n);
    expect(db.get(["all", left])).toBe("x".repeat(left % 300));
    oracle.last = Math.max(oracle.last, left);
  }
  // A number that was acknowledged and not deleted by a later commit is present with its value.
  for (const { key, value } of db.list({ prefix: ["all"] })) {
    const [, n] = key as [string, number];
    expect(value).toBe("x".repeat(n % 300));
    oracle.last = Math.max(oracle.last, n);
  }
}

describe.each(["full", "relaxed"])("SIGKILL in mid-write, durability %s", (durability) => {
  const title = `T-DUR-02: after each of ${KILLS} kills all that was acknowledged is there, nothing by half`;
  test(`${title} (seed ${SEED})`, async () => {
    const random = new Prng(`${SEED}:${durability}`);
    const directory = join(await temporaryDirectory(), "data");
    const oracle: Acknowledged = { lanes: new Map(), last: 1000 };
    for (let kill = 0; kill < KILLS; kill++) {
      await writeAndKill(directory, durability, oracle, 1 + random.below(kill % 10 === 0 ? 3000 : 200));
      await check(directory, oracle);
    }
  }, 600_000);
});
