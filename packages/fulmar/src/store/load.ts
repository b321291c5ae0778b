import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { integerOption, isRevoked } from "../base/options.js";
import { progressTeller } from "../base/tell.js";
import type { StopSignal } from "../durability/care-types.js";
import { entryBytes } from "../record/entry.js";
import type { LocalWrite } from "../transaction/local-write.js";
import { checkCareOptions } from "./backup.js";
import type { StoreCore } from "./core.js";
import { coreOf } from "./cores.js";
import { invalid, parseLine } from "./dump-line.js";
import { LineSplitter } from "./line-splitter.js";
import { checkDurability } from "./settings.js";
import type { Store } from "./store.js";
import type { Durability } from "./types.js";

/** How a dump is loaded. */
export interface LoadOptions {
  /** When each batch counts as written; the store's own level unless set. */
  readonly durability?: Durability | undefined;
  /** Entries of one batch at most; 1000 unless set, 1 to 100,000, and no more than a commit may hold. */
  readonly batchEntries?: number | undefined;
  /** Stops after a batch with ABORTED: an `AbortSignal`. */
  readonly signal?: StopSignal | undefined;
  /** What it throws or rejects with is reported as `fulmar:progress-error`, and loading goes on. */
  readonly onProgress?: ((progress: { readonly entries: number }) => void) | undefined;
}

/** What was loaded. */
export interface LoadSummary {
  readonly entries: number;
  readonly commits: number;
}

/** A batch is closed before its entries take more bytes than this, unless one entry does. */
const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_ENTRIES = 1000;
/** A byte of a value takes six characters at most, in text that is all control characters. */
const ESCAPED = 6;
const LINE_REST_BYTES = 64 * 1024;

/**
 * Sets what the lines of a dump say, in batches, one after the other. `source` gives text or bytes in pieces
 * of any size, as a file stream or `dump` does. Other keys are left alone. The lines need no head and no end, but
 * a dump that has a head must have its end: otherwise it was cut off.
 *
 * Rejects with DUMP_INVALID (details: `line`), FORMAT_NEWER, ABORTED, or as `batch` does. What the lines before
 * that say is stored then.
 *
 * @example
 * ```ts
 * import { load, open } from "fulmar";
 *
 * const db = await open();
 * const { entries } = await load(db, ['{"key":["user",{"bigint":"12"}],"value":{"name":"Ada"}}\n']);
 * console.log(entries, db.get(["user", 12n]));
 * await db.close();
 * ```
 */
export async function load<V>(
  store: Store<V>,
  source: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  options: LoadOptions = {},
): Promise<LoadSummary> {
  const core = coreOf(store);
  checkCareOptions(options, ["durability", "batchEntries"], "load");
  if (
    typeof source !== "object" ||
    source === null ||
    isRevoked(source) ||
    !(Symbol.asyncIterator in source || Symbol.iterator in source)
  ) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "load: the source must be iterable, of text or bytes");
  }
  const loading = new Loading(core, options);
  loading.checkSignal();
  const splitter = new LineSplitter(ESCAPED * core.limits.valueBytesMax + LINE_REST_BYTES);
  try {
    for await (const piece of source) {
      for (const line of splitter.add(piece)) await loading.line(line, splitter.number);
    }
    for (const line of splitter.end()) await loading.line(line, splitter.number);
    loading.finish(splitter.number);
  } finally {
    // Also before an error: then its line number says how far the store got.
    await loading.flush();
  }
  return loading.summary;
}

class Loading {
  readonly #core: StoreCore<unknown>;
  readonly #options: LoadOptions;
  readonly #progress: (progress: { readonly entries: number }) => void;
  readonly #level: Durability | undefined;
  readonly #batchEntries: number;
  readonly #batchBytes: number;
  #batch: LocalWrite[] = [];
  #bytes = 0;
  #entries = 0;
  #commits = 0;
  #hasHead = false;
  #ended = false;

  constructor(core: StoreCore<unknown>, options: LoadOptions) {
    this.#core = core;
    this.#options = options;
    this.#progress = progressTeller(core.parts.runtime.diagnostics, options.onProgress);
    this.#level = checkDurability(options.durability);
    const wanted = integerOption(options.batchEntries, "batchEntries", BATCH_ENTRIES, 1, 100_000);
    const { commitEntriesMax, commitBytesMax } = core.limits;
    this.#batchEntries = Math.min(wanted, commitEntriesMax);
    this.#batchBytes = Math.min(BATCH_BYTES, commitBytesMax);
  }

  get summary(): LoadSummary {
    return { entries: this.#entries, commits: this.#commits };
  }

  async line(bytes: Uint8Array, number: number): Promise<void> {
    if (isBlank(bytes)) return;
    if (this.#ended) throw invalid(number, "something follows the end of the dump");
    const line = parseLine(bytes, number, this.#core.limits);
    if (line.kind === "head") this.#hasHead = true;
    else if (line.kind === "end") this.#end(line.entries, number);
    else await this.#add(line.write);
  }

  finish(lines: number): void {
    if (!this.#hasHead || this.#ended) return;
    throw invalid(lines + 1, "the dump has no end: it was cut off");
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#bytes = 0;
    await this.#core.commitBlind(batch, this.#level);
    this.#entries += batch.length;
    this.#commits++;
    this.#progress({ entries: this.#entries });
  }

  #end(entries: number, number: number): void {
    const found = this.#entries + this.#batch.length;
    if (entries !== found) throw invalid(number, `it tells of ${entries} entries, and there were ${found}`);
    this.#ended = true;
  }

  async #add(write: LocalWrite): Promise<void> {
    const size = entryBytes(write.key.length, write.value.length, write.flags);
    if (this.#bytes + size > this.#batchBytes) await this.#next();
    this.#batch.push(write);
    this.#bytes += size;
    if (this.#batch.length >= this.#batchEntries) await this.#next();
  }

  /** To the next batch, unless it is the end. */
  async #next(): Promise<void> {
    await this.flush();
    this.checkSignal();
  }

  /** @throws ABORTED */
  checkSignal(): void {
    if (this.#options.signal?.aborted === true) {
      throw new FulmarError(
        "ABORTED",
        `loading was stopped after ${this.#entries} entries, which are stored`,
      );
    }
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 32 || byte === 9 || byte === 13);
}
