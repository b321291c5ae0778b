import { FulmarError, FulmarTypeError } from "../base/errors.js";
import { checkOptions, isRevoked } from "../base/options.js";
import { runtimeOf } from "../base/runtime/check.js";
import type { Runtime, ThreadChannel } from "../base/runtime/interface.js";
import { nodeRuntime } from "../base/runtime/node/node-runtime.js";
import {
  type Codec,
  type CodecNameFor,
  type OptionsOfBigint,
  type OptionsOfBytes,
  type OptionsOfText,
  resolveCodec,
} from "../codec/codec.js";
import type { AttachedMessage, AttachMessage, OwnerMessage, ReaderHandle } from "./reader-messages.js";
import { SharedReader } from "./shared-reader.js";

/** Ports of handles that a reader of this thread was opened with: two on one would hear each other's answers. */
const used = new WeakSet<object>();

/** How a reader on another thread is opened. */
export interface ReaderOptions<V = unknown> {
  /** The codec that the store was opened with: `json` unless set. */
  readonly codec?: Codec<V> | CodecNameFor<V> | undefined;
  /** The surroundings; Node's unless set. */
  readonly runtime?: Runtime | undefined;
}

/**
 * Opens a reader on this thread for a store that another thread of the process has open. `handle` is what
 * `Store.readerHandle` gave there, and serves one reader.
 *
 * Rejects with INVALID_ARGUMENT when the handle is none or the codec is another one than the store's, with
 * CLOSED when the store is closed or the handle was used before, and with REVOKED when the store has no memory for it.
 *
 * @example
 * ```ts
 * import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
 * import { open, openReader } from "fulmar";
 *
 * if (isMainThread) {
 *   const db = await open(undefined, { shared: true });
 *   await db.set("user:1", { name: "Ada" });
 *   const handle = db.readerHandle();
 *   const worker = new Worker(new URL(import.meta.url), { workerData: handle, transferList: [handle.port] });
 *   console.log(await new Promise((resolve) => worker.once("message", resolve)));
 *   await db.close();
 * } else {
 *   const reader = await openReader<{ name: string }>(workerData);
 *   parentPort?.postMessage(reader.get("user:1")?.name);
 *   await reader.close();
 * }
 * ```
 */
export function openReader(
  handle: ReaderHandle,
  options: OptionsOfBytes<ReaderOptions<Uint8Array>>,
): Promise<SharedReader<Uint8Array>>;
export function openReader(
  handle: ReaderHandle,
  options: OptionsOfText<ReaderOptions<string>>,
): Promise<SharedReader<string>>;
export function openReader(
  handle: ReaderHandle,
  options: OptionsOfBigint<ReaderOptions<bigint>>,
): Promise<SharedReader<bigint>>;
export function openReader<V = unknown>(
  handle: ReaderHandle,
  options?: ReaderOptions<V>,
): Promise<SharedReader<V>>;
export async function openReader<V>(
  handle: ReaderHandle,
  options: ReaderOptions<V> = {},
): Promise<SharedReader<V>> {
  checkOptions(options, ["codec", "runtime"], "openReader");
  const codec = resolveCodec(options.codec);
  const runtime = runtimeOf(options.runtime, nodeRuntime);
  const port = isRevoked(handle) ? undefined : (handle as Partial<ReaderHandle> | undefined)?.port;
  const channel = runtime.threads.join(port);
  if (channel === undefined || port === undefined) {
    throw new FulmarTypeError("INVALID_ARGUMENT", "openReader takes what readerHandle() of a store returned");
  }
  if (used.has(port))
    throw new FulmarError("CLOSED", "this handle was used before: each reader takes its own");
  used.add(port);
  return await attach(channel, runtime, codec);
}

/** Asks to be let in, and makes the reader when the store agrees. */
function attach<V>(channel: ThreadChannel, runtime: Runtime, codec: Codec<V>): Promise<SharedReader<V>> {
  return new Promise((resolve, reject) => {
    let reader: SharedReader<V> | undefined;
    const begin = (attached: AttachedMessage): void => {
      channel.keepAlive(false);
      try {
        reader = new SharedReader({
          channel,
          attached,
          clock: runtime.clock,
          threads: runtime.threads,
          codec,
        });
        resolve(reader);
      } catch (error) {
        // No memory for it here: the store must not wait for it.
        reject(error);
        channel.close();
      }
    };
    channel.start({
      message: (message) => {
        const told = message as OwnerMessage;
        if (reader !== undefined) reader.receive(told);
        else if (told.type === "attached") begin(told);
        else if (told.type === "refused") {
          reject(new FulmarTypeError("INVALID_ARGUMENT", told.message));
          channel.close();
        } else if (told.type === "crowded") {
          reject(new FulmarError("REVOKED", "the store has no memory for another reader: open one later"));
          channel.close();
        }
      },
      closed: () => reject(new FulmarError("CLOSED", "the store that this handle is of is closed")),
    });
    // Until the answer is there, which may be all that the thread waits for.
    channel.keepAlive(true);
    channel.post({ type: "attach", codec: codec.name } satisfies AttachMessage);
  });
}
