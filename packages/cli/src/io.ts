import type { Encryption } from "fulmar";
import { CommandError } from "./errors.js";

/** Where text goes. `write` resolves when more may be written, and rejects with {@link PipeClosed}. */
export interface Sink {
  /** Whether a person is watching: a terminal, not a file or pipe. */
  readonly interactive: boolean;
  write(text: string): Promise<void>;
}

/** The surroundings of a command; tests give their own. */
export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Standard input as it comes. */
  inputPieces(): AsyncIterable<Uint8Array>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The keys of encrypted files, once the command line has been read. */
  encryption?: Encryption | undefined;
}

/** The reader of our output went away, as `head` does: no failure, but there is nothing left to do. */
export class PipeClosed extends Error {}

/** Most bytes of a value on standard input: as many as the largest value has. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;

/** The streams of this process. */
export function processIo(): Io {
  const [stdout, stderr] = [streamSink(process.stdout), streamSink(process.stderr)];
  return { stdout, stderr, inputPieces, environment: process.env };
}

function streamSink(stream: NodeJS.WriteStream): Sink {
  let failure: Error | undefined;
  // Without a listener a closed pipe would end the process with a stack trace.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    failure ??= translated(error);
  });
  return {
    interactive: stream.isTTY === true,
    write: (text) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) return reject(failure);
        stream.write(text, (error) => (error ? reject(translated(error)) : resolve()));
      }),
  };
}

function translated(error: NodeJS.ErrnoException): Error {
  if (error.code === "EPIPE") return new PipeClosed("the reader went away");
  const isFull = error.code === "ENOSPC" || error.code === "EDQUOT";
  return new CommandError(
    isFull ? "DISK_FULL" : "IO_ERROR",
    `the output could not be written (${error.message})`,
  );
}

function inputPieces(): AsyncIterable<Uint8Array> {
  return process.stdin;
}

/** All of standard input, which is one value. @throws CommandError VALUE_TOO_LARGE, before the rest is read */
export async function wholeInput(io: Pick<Io, "inputPieces">): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of io.inputPieces()) {
    sizeBytes += piece.length;
    if (sizeBytes > INPUT_BYTES_MAX) {
      const message = `standard input holds more than the ${INPUT_BYTES_MAX} bytes of the largest value`;
      throw new CommandError("VALUE_TOO_LARGE", message);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

const LINES_BYTES = 64 * 1024;

/** Gathers lines into larger writes, and waits for a slow reader. */
export class LineWriter {
  readonly #sink: Sink;
  #pending = "";

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** A promise only when there is something to wait for. */
  line(text: string): Promise<void> | undefined {
    this.#pending += `${text}\n`;
    return this.#pending.length >= LINES_BYTES ? this.flush() : undefined;
  }

  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") await this.#sink.write(text);
  }
}
