import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "fulmar";
import { afterEach } from "vitest";
import { type Io, PipeClosed, type Sink } from "../src/io.js";
import { run } from "../src/run.js";

const made: string[] = [];

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true });
});

/** A path inside a fresh directory, where nothing is yet. Removed after the test. */
export async function freshPath(name = "store"): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "fulmar-cli-"));
  made.push(parent);
  return join(parent, name);
}

/** What a command printed, and its exit code. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A sink that keeps what it is given; `closesAfter` makes it a pipe whose reader goes away after so many writes. */
export class RecordingSink implements Sink {
  readonly interactive: boolean;
  readonly #closesAfter: number;
  readonly writes: string[] = [];

  constructor({ interactive = false, closesAfter = Number.POSITIVE_INFINITY } = {}) {
    this.interactive = interactive;
    this.#closesAfter = closesAfter;
  }

  async write(text: string): Promise<void> {
    if (this.writes.length >= this.#closesAfter) throw new PipeClosed();
    this.writes.push(text);
  }

  get text(): string {
    return this.writes.join("");
  }
}

/** Runs a command line in this process, on streams of its own. */
export async function fulmar(
  argv: readonly string[],
  given: Partial<Io> & { input?: string | Uint8Array } = {},
): Promise<Outcome> {
  const stdout = given.stdout ?? new RecordingSink();
  const stderr = given.stderr ?? new RecordingSink();
  const input = typeof given.input === "string" ? new TextEncoder().encode(given.input) : given.input;
  const whole = input ?? new Uint8Array();
  async function* inputPieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < whole.length; at += 7) yield whole.subarray(at, at + 7);
  }
  const code = await run(argv, {
    stdout,
    stderr,
    inputPieces: given.inputPieces ?? inputPieces,
    environment: given.environment ?? {},
  });
  return { code, out: (stdout as RecordingSink).text, err: (stderr as RecordingSink).text };
}

/** A store with three entries of the JSON codec. */
export async function sample(): Promise<string> {
  const directory = await freshPath();
  const store = await open(directory);
  await store.batch([
    { type: "set", key: "a", value: 1 },
    { type: "set", key: "b", value: { deep: [true, null] } },
    { type: "set", key: ["user", 1], value: "Ada" },
  ]);
  await store.close();
  return directory;
}

/** Flips one bit inside the one record of the log, which was synced. */
export function damage(directory: string): void {
  const log = join(directory, "log");
  const segment = join(log, readdirSync(log)[0]);
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf("Ada")] ^= 1;
  writeFileSync(segment, bytes);
}
