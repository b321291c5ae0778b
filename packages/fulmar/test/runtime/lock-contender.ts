/**
 * A process that obeys orders about one lock, as lines on its input, and reports on its output:
 * "take <directory>" -> "held" or "refused <code> <pid>"; "look <directory>" -> "certain <true|false>" or the same;
 * "release" -> "released"; "block <ms>" -> "blocking",
 * and the event loop stands still; "race <directory> <marker> <rounds>" -> "won <n>" or "broken <reason>".
 */
import { closeSync, openSync, unlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import type { DirectoryLock } from "../../src/base/runtime/interface.js";
import { askForHolder, lockDirectory } from "../../src/base/runtime/node/directory-lock.js";

/** Others answer, however long a busy machine takes for it; who never does is for the test itself to ask. */
const PATIENT = { answerMs: 100_000, settleMs: 100_000 };

let lock: DirectoryLock | undefined;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function describe(error: unknown): string {
  const { code, details } = error as { code?: string; details?: { pid?: number } };
  return `${code} ${details?.pid}`;
}

async function take(directory: string): Promise<void> {
  try {
    lock = await lockDirectory(directory, PATIENT);
    say("held");
  } catch (error) {
    say(`refused ${describe(error)}`);
  }
}

async function look(directory: string): Promise<void> {
  try {
    say(`certain ${await askForHolder(directory, PATIENT)}`);
  } catch (error) {
    say(`refused ${describe(error)}`);
  }
}

/** Wants the lock over and over; whoever has it must be alone with the marker file. */
async function race(directory: string, marker: string, rounds: number): Promise<void> {
  let won = 0;
  for (let round = 0; round < rounds; round++) {
    let mine: DirectoryLock;
    try {
      mine = await lockDirectory(directory, PATIENT);
    } catch (error) {
      if ((error as { code?: string }).code === "LOCKED") continue;
      return say(`broken ${String(error)}`);
    }
    won++;
    try {
      closeSync(openSync(marker, "wx"));
    } catch (error) {
      return say(`broken two holders: ${String(error)}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
    unlinkSync(marker);
    await mine.release();
  }
  say(`won ${won}`);
}

async function obey(order: string): Promise<void> {
  const [verb, ...words] = order.split(" ");
  if (verb === "take") await take(words[0]);
  else if (verb === "look") await look(words[0]);
  else if (verb === "race") await race(words[0], words[1], Number(words[2]));
  else if (verb === "release") {
    await lock?.release();
    say("released");
  } else if (verb === "block") {
    process.stdout.write("blocking\n", () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(words[0]));
    });
  }
}

createInterface({ input: process.stdin }).on("line", (order) => void obey(order));
