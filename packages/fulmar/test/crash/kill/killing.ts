import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { toHex } from "../../../src/base/bytes.js";
import type { Prng } from "../../../src/testing/simulated/prng.js";
import type { Oracle } from "./oracle.js";

const WRITER = fileURLToPath(new URL("./writer.mjs", import.meta.url));
/** So often the process may be faster than the kill. */
const TRIES_MAX = 200;

/** What the process was doing when it was killed. */
export type Moment = "write" | "checkpoint" | "open" | "backup";

type Message =
  | "ready"
  | { readonly lane: number; readonly n: number }
  | { readonly begins: Moment }
  | { readonly ends: Moment }
  | { readonly path: string; readonly before: number };

export interface Scene {
  readonly directory: string;
  readonly backups: string;
  readonly durability: string;
  /** Undefined where files are plain. */
  readonly key: Uint8Array | undefined;
  readonly oracle: Oracle;
  readonly random: Prng;
  /** How long each kind of work took that was not killed, in ms: the kills fall within it. */
  readonly lastMs: Map<Moment, number>;
}

/** What one process told before it died. */
export interface Told {
  /** Backups that were finished, each with a version that it must hold. */
  readonly finished: Map<string, number>;
  /** Whether the kill fell into the moment that it was meant for. */
  readonly hit: boolean;
}

/** Lets a process acknowledge so many commits, and kills it in the middle of whatever it does. */
export async function killWhileWriting(scene: Scene, commits: number): Promise<void> {
  let left = commits;
  await run(scene, "write", (child, message) => {
    if (typeof message === "object" && "lane" in message && --left === 0) child.kill("SIGKILL");
  });
}

/** Kills processes at a random point of some work until one died within it; `check` runs after each. */
export async function killDuring(
  scene: Scene,
  moment: Exclude<Moment, "write">,
  check: (told: Told) => Promise<void>,
): Promise<void> {
  const { random, lastMs } = scene;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    let runs = moment === "open" ? 1 : 1 + random.below(2);
    let beganMs = 0;
    const told = await run(scene, moment, (child, message) => {
      if (typeof message !== "object") return;
      if ("ends" in message && message.ends === moment) lastMs.set(moment, performance.now() - beganMs);
      if (!("begins" in message) || message.begins !== moment) return;
      beganMs = performance.now();
      if (--runs > 0) return;
      const withinMs = Math.ceil(lastMs.get(moment) ?? 20);
      setTimeout(() => child.kill("SIGKILL"), random.below(withinMs + 1));
    });
    await check(told);
    if (told.hit) return;
  }
  throw new Error(`none of ${TRIES_MAX} kills fell into the moment ${moment}`);
}

async function run(
  { directory, backups, durability, oracle, key = new Uint8Array(0) }: Scene,
  moment: Moment,
  hear: (child: ChildProcess, message: Message) => void,
): Promise<Told> {
  const child = fork(WRITER, [directory, durability, String(oracle.next), moment, backups, toHex(key)]);
  // What it told before it died is heard until its channel closes, which may be after its exit.
  const ended = Promise.all([once(child, "exit"), once(child, "disconnect")]);
  const finished = new Map<string, number>();
  let within = false;
  let failure: unknown;
  child.on("message", (message: Message) => {
    if (typeof message === "object") {
      if ("lane" in message) oracle.acknowledge(message.lane, message.n);
      if ("path" in message) finished.set(message.path, message.before);
      if ("begins" in message && message.begins === moment) within = true;
      if ("ends" in message && message.ends === moment) within = false;
    }
    try {
      hear(child, message);
    } catch (error) {
      // Nobody else would end it.
      failure ??= error;
      child.kill("SIGKILL");
    }
  });
  const [exit] = await ended;
  if (failure !== undefined) throw failure;
  expect(exit).toEqual([null, "SIGKILL"]);
  return { finished, hit: within };
}
