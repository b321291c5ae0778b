import type { Limits } from "../base/limits.js";
import type { ThreadPort } from "../base/runtime/node/threads.js";
import type { MappedBuffer, SharedLayout } from "../memory/shared/sharing.js";
import type { OriginId } from "../record/origins.js";

/**
 * What `Store.readerHandle` gives and `openReader` takes. It belongs to one reader, and goes to its thread by
 * `postMessage` or `workerData`, with {@link port} in the list of what is transferred.
 */
export interface ReaderHandle {
  /** The reader's way to the store. */
  readonly port: ThreadPort;
}

/** From a reader: let me in. */
export interface AttachMessage {
  readonly type: "attach";
  readonly codec: string;
}

/** To a reader: everything that it needs to begin. */
export interface AttachedMessage {
  readonly type: "attached";
  readonly control: Uint32Array;
  readonly block: Uint32Array;
  readonly layout: SharedLayout;
  readonly buffers: readonly MappedBuffer[];
  readonly limits: Limits;
  /** In the order of their numbers, from 1 on. */
  readonly origins: readonly OriginId[];
}

/** To a reader: why it is not let in. */
export interface RefusedMessage {
  readonly type: "refused";
  readonly message: string;
}

/** To a reader: there is no memory for it. */
export interface CrowdedMessage {
  readonly type: "crowded";
}

/** To a reader: what it must know before it meets it in memory. */
export type NewsMessage =
  | {
      readonly type: "memory";
      readonly kind: MappedBuffer[0];
      readonly number: number;
      readonly buffer: SharedArrayBuffer | undefined;
    }
  | { readonly type: "origins"; readonly origins: readonly OriginId[] };

export type OwnerMessage = AttachedMessage | RefusedMessage | CrowdedMessage | NewsMessage;
