import { FulmarError } from "../base/errors.js";
import { bigintCodec, bytesCodec, type Codec, jsonCodec, textCodec } from "../codec/codec.js";

/**
 * Code of the application that a store calls in the middle of its work: codecs, schemas, what `JSON.stringify` calls
 * of a value. It may read; a write from within would come between what was decided and what is done, or move the
 * bytes that are being decoded.
 */
export class UserCode {
  #depth = 0;

  /** To be followed by {@link leave}, whatever happens. */
  enter(): void {
    this.#depth++;
  }

  leave(): void {
    this.#depth--;
  }

  /** Whether it runs right now. */
  get isRunning(): boolean {
    return this.#depth > 0;
  }

  /** Before anything is changed. @throws FulmarError `REENTRANT` */
  assertOutside(): void {
    if (this.#depth === 0) return;
    const message = "a codec, a schema or a toJSON may not change the store: write before or after the call";
    throw new FulmarError("REENTRANT", message);
  }
}

/** These call nobody's code. */
const OWN_CODECS: ReadonlySet<unknown> = new Set([jsonCodec, textCodec, bytesCodec, bigintCodec]);

/** The same codec, known as code of the application while it decodes. Encoding is watched over by who encodes. */
export function guardedCodec<V>(codec: Codec<V>, userCode: UserCode): Codec<V> {
  if (OWN_CODECS.has(codec)) return codec;
  return {
    name: codec.name,
    encode: (value) => codec.encode(value),
    decode: (bytes) => {
      userCode.enter();
      try {
        return codec.decode(bytes);
      } finally {
        userCode.leave();
      }
    },
  };
}
