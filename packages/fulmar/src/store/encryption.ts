import { toHex } from "../base/bytes.js";
import { FulmarTypeError } from "../base/errors.js";
import { booleanOption, checkOptions, isBytes, isList, isRevoked } from "../base/options.js";
import type { Runtime } from "../base/runtime/interface.js";
import { KEY_ID_BYTES_MAX } from "../durability/key-section.js";
import { KEY_BYTES, Keyring, type KeySource } from "../durability/keyring.js";

/** Keys that the program has at hand, each of 32 random bytes. Copied at once; yours may be overwritten. */
export interface EncryptionKeys {
  /** What new files are encrypted under; null: they are written plain. */
  readonly key: Uint8Array | null;
  /** Keys of files that were written earlier. */
  readonly previousKeys?: readonly Uint8Array[] | undefined;
  /**
   * Whether a directory that is there goes on as it is: new files are written under the key of the newest file of its
   * log, by the id that it has there, or plain if that one is; `key` is for a new directory. For programs that look at
   * stores of others. False unless set.
   */
  readonly asFound?: boolean | undefined;
  /** Whether a directory with files that are not encrypted is refused, with NOT_ENCRYPTED. False unless set. */
  readonly refusePlain?: boolean | undefined;
}

/** Keys that somebody else keeps, a key management service, say. */
export interface EncryptionProvider {
  /** The id of the key for new files, 1 to 64 bytes, which stands readable in each of them; null: they are plain. */
  readonly current: string | null;
  /** Gives the 32 bytes of a key, once for each id; undefined when there is none. */
  readonly getKey: (id: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Whether a directory that is there goes on as it is, and `current` is for a new one. False unless set. */
  readonly asFound?: boolean | undefined;
  /** Whether a directory with files that are not encrypted is refused, with NOT_ENCRYPTED. False unless set. */
  readonly refusePlain?: boolean | undefined;
}

/** How the files of a store are encrypted. */
export type Encryption = EncryptionKeys | EncryptionProvider;

/** Under which keys the files of a store are. Ids are no secrets. */
export interface EncryptionStatus {
  /** The id of the key for new files; null: they are written plain. */
  readonly current: string | null;
  /** The ids of all keys that some file needs now. */
  readonly inUse: readonly string[];
  /** Whether some file that counts is not encrypted. */
  readonly plain: boolean;
}

/**
 * The keyring for an option `encryption`; undefined without one.
 *
 * @throws TypeError with INVALID_ARGUMENT or UNKNOWN_OPTION.
 */
export function createKeyring(runtime: Runtime, encryption: Encryption | undefined): Keyring | undefined {
  if (encryption === undefined) return undefined;
  const shape = checkShape(encryption);
  const refusePlain = booleanOption(shape.refusePlain, "encryption: refusePlain", false);
  const asFound = booleanOption(shape.asFound, "encryption: asFound", false);
  const source = "key" in encryption ? keysAtHand(runtime, encryption) : provided(encryption);
  if (refusePlain && source.current === null) throw invalid("refusePlain needs a key to encrypt under");
  return new Keyring(runtime, { ...source, refusesPlain: refusePlain, asFound });
}

/** What a directory says of the keys of its files: the present one first; undefined stands for plain files. */
export function encryptionStatus([current, ...former]: readonly (string | undefined)[]): EncryptionStatus {
  const ids = [current, ...former];
  const inUse = ids.filter((id) => id !== undefined);
  return { current: current ?? null, inUse, plain: inUse.length < ids.length };
}

type GivenKeys = Omit<KeySource, "refusesPlain" | "asFound">;

function checkShape(encryption: Encryption): Encryption {
  const isObject = typeof encryption === "object" && encryption !== null && !isRevoked(encryption);
  if (isObject && "getKey" in encryption) {
    checkOptions(encryption, ["current", "getKey", "asFound", "refusePlain"], "encryption");
  } else if (isObject && "key" in encryption) {
    checkOptions(encryption, ["key", "previousKeys", "asFound", "refusePlain"], "encryption");
  } else {
    throw invalid("it needs key, or current and getKey");
  }
  return encryption;
}

function keysAtHand(runtime: Runtime, { key, previousKeys = [] }: EncryptionKeys): GivenKeys {
  if (!isList(previousKeys)) throw invalid("previousKeys must be an array");
  const given: unknown[] = [...(key === null ? [] : [key]), ...previousKeys];
  const keys = new Map<string, Uint8Array>();
  for (const one of given) {
    if (!isBytes(one) || one.length !== KEY_BYTES) {
      throw invalid(`a key must be a Uint8Array of ${KEY_BYTES} bytes`);
    }
    const copy = one.slice();
    keys.set(idOf(runtime, copy), copy);
  }
  const [first] = keys.keys();
  return {
    current: key === null ? null : first,
    // Files may know a key by the name that a provider gave it. Another key than the one that a file wants is noticed
    // by the file's own check, and called wrong, not missing.
    key: (id, fits) => keys.get(id) ?? [...keys.values()].find(fits) ?? keys.get(first),
    erase: () => {
      for (const one of keys.values()) one.fill(0);
    },
  };
}

/** Keys without a name are told apart by what is derived from them. */
function idOf(runtime: Runtime, key: Uint8Array): string {
  return `key-${toHex(runtime.cryptography.deriveKey(key, new Uint8Array(0), "fulmar key id", 8))}`;
}

function provided({ current, getKey }: EncryptionProvider): GivenKeys {
  if (typeof getKey !== "function") throw invalid("getKey must be a function");
  if (current !== null) {
    const bytes = new TextEncoder().encode(typeof current === "string" ? current : "");
    const isText = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) === current;
    if (!isText || bytes.length === 0 || bytes.length > KEY_ID_BYTES_MAX) {
      throw invalid(`current must be null or a string of 1 to ${KEY_ID_BYTES_MAX} bytes`);
    }
  }
  return { current, key: (id) => getKey(id), erase: () => undefined };
}

function invalid(what: string): FulmarTypeError {
  return new FulmarTypeError("INVALID_ARGUMENT", `encryption: ${what}`);
}
