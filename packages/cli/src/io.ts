import type { Encryption } from "fulmar";

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
  /** Everything on standard input. */
  readInput(): Promise<Uint8Array>;
  /** Standard input as it comes. */
  inputPieces(): AsyncIterable<Uint8Array>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The keys of encrypted files, once the command line has been read. */
  encryption?: Encryption | undefined;
}

/** The reader of our output went away, as `head` does: no failure, but there is nothing left to do. */
export class PipeClosed extends Error {}

/** Standard input may hold one value: no more is read than the largest value there is. */
const INPUT_BYTES_MAX = 64 * 1024 * 1024;

/** The streams of this process. */
export function processIo(): Io {
  const [stdout, stderr] = [streamSink(process.stdout), streamSink(process.stderr)];
  return { stdout, stderr, readInput, inputPieces, environment: process.env };
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
  return error.code === "EPIPE" ? new PipeClosed("the reader went away") : error;
}

function inputPieces(): AsyncIterable<Uint8Array> {
  return process.stdin;
}

async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length;
    if (sizeBytes > INPUT_BYTES_MAX) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
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
