import { FulmarError } from "../base/errors.js";
import { isBytes } from "../base/options.js";
import type { FilesToRead, Runtime } from "../base/runtime/interface.js";
import { FileSeal } from "./file-seal.js";
import { KEY_CHECK_BYTES, KEY_SALT_BYTES, type KeySection, writeKeySection } from "./key-section.js";

/** Bytes of a key, of a store's and of a file's own. */
export const KEY_BYTES = 32;

/** Gives the keys that files are encrypted under, as a key management service does. */
export interface KeySource {
  /** The id of the key for new files; null: they are written plain. */
  readonly current: string | null;
  /** The key of an id, 32 bytes; undefined when it is not given. `fits` tells keys without a name apart. */
  key(
    id: string,
    fits: (key: Uint8Array) => boolean,
  ): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Whether files that are not encrypted are refused. */
  readonly refusesPlain: boolean;
  /** Whether `current` is for new directories only: one that is there goes on as it is. */
  readonly asFound: boolean;
  /** Overwrites what it keeps of keys. */
  erase(): void;
}

/** What a file is for: part of what its key is derived from. */
export type FilePurpose = "log segment" | "checkpoint";

/** A new file's seal, and what to write behind its header. */
export interface NewSeal {
  readonly seal: FileSeal;
  readonly section: Uint8Array;
}

/**
 * The surroundings of a data directory together with the keys of its files. Without a keyring files are written plain,
 * and encrypted ones are refused.
 */
export interface DiskRuntime extends Runtime {
  readonly keyring?: Keyring | undefined;
}

/** What it takes to read a data directory, and to change nothing in it. */
export interface ReadRuntime extends Omit<DiskRuntime, "fileSystem"> {
  readonly fileSystem: FilesToRead;
}

export function withKeyring(runtime: Runtime, keyring: Keyring | undefined): DiskRuntime {
  if (keyring === undefined) return runtime;
  const { clock, timers, random, checksum, cryptography, diagnostics } = runtime;
  const { fileSystem, transport, threads, compression, finalization } = runtime;
  const disk = { fileSystem, transport, threads, compression, finalization, keyring };
  return { clock, timers, random, checksum, cryptography, diagnostics, ...disk };
}

/** The keys of a store's files: each file has its own, derived from its salt and from a key with an id. */
export class Keyring {
  readonly #runtime: Runtime;
  readonly #source: KeySource;
  readonly #keys = new Map<string, Promise<Uint8Array | undefined>>();
  /** What is gone on with instead of the source's own choice; null: plain files. */
  #found: string | null | undefined;

  constructor(runtime: Runtime, source: KeySource) {
    this.#runtime = runtime;
    this.#source = source;
  }

  /** The id of the key for new files; undefined when they are written plain. */
  get currentId(): string | undefined {
    const current = this.#found === undefined ? this.#source.current : this.#found;
    return current ?? undefined;
  }

  /** Says how the newest file is encrypted, undefined for a plain one: new ones are too, if so it was wished. */
  goOnAs(keyId: string | undefined): void {
    if (this.#source.asFound) this.#found = keyId ?? null;
  }

  /** A seal for a new file with this header, for each file another; undefined when it is to be plain. */
  async create(purpose: FilePurpose, header: Uint8Array): Promise<NewSeal | undefined> {
    const keyId = this.currentId;
    if (keyId === undefined) return undefined;
    const key = await this.#key(keyId);
    if (key === undefined) {
      const message = `the key ${quoted(keyId)}, under which files are to be written, was not given: give it to open`;
      throw new FulmarError("ENCRYPTION_KEY_MISSING", message, { keyId });
    }
    const salt = new Uint8Array(KEY_SALT_BYTES);
    this.#runtime.random.fill(salt);
    const section = { salt, check: this.#check(key, salt), keyId };
    const seal = this.#seal(key, section, purpose, header);
    return { seal, section: writeKeySection(this.#runtime.checksum, section) };
  }

  /** The seal of an existing file. Rejects with ENCRYPTION_KEY_MISSING or ENCRYPTION_KEY_WRONG. */
  async find(path: string, section: KeySection, purpose: FilePurpose, header: Uint8Array): Promise<FileSeal> {
    const { keyId, salt, check } = section;
    const fits = (key: Uint8Array): boolean =>
      this.#runtime.cryptography.equal(check, this.#check(key, salt));
    const key = await this.#key(keyId, fits);
    if (key === undefined) throw keyMissing(path, keyId);
    if (!fits(key)) {
      const message = `${path} is encrypted under another key ${quoted(keyId)} than was given: give the right one`;
      throw new FulmarError("ENCRYPTION_KEY_WRONG", message, { file: path, keyId });
    }
    return this.#seal(key, section, purpose, header);
  }

  /** Whether files that are not encrypted are refused. */
  get refusesPlain(): boolean {
    return this.#source.refusesPlain;
  }

  /** Refuses a file that is not encrypted, if only encrypted ones are accepted. */
  acceptPlain(path: string): void {
    if (!this.#source.refusesPlain) return;
    const message = `${path} is not encrypted, and the option refusePlain is set: leave it out if the file is yours`;
    throw new FulmarError("NOT_ENCRYPTED", message, { file: path });
  }

  /** Overwrites the keys. Nothing can be read or written with it any more. */
  erase(): void {
    for (const pending of this.#keys.values()) {
      pending.then((key) => key?.fill(0)).catch(() => undefined);
    }
    this.#keys.clear();
    this.#source.erase();
  }

  /** Each key is asked for once; what could not be had is asked for again. */
  #key(id: string, fits = (_key: Uint8Array): boolean => true): Promise<Uint8Array | undefined> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const pending = this.#ask(id, fits);
    this.#keys.set(id, pending);
    pending.catch(() => this.#keys.delete(id));
    return pending;
  }

  async #ask(id: string, fits: (key: Uint8Array) => boolean): Promise<Uint8Array | undefined> {
    let key: unknown;
    try {
      key = await this.#source.key(id, fits);
    } catch (cause) {
      const message = `the provider of keys failed to give the key ${quoted(id)}: see the cause, and try again`;
      throw new FulmarError("ENCRYPTION_KEY_MISSING", message, { keyId: id, cause });
    }
    if (key === undefined || key === null) return undefined;
    if (isBytes(key) && key.length === KEY_BYTES) return key.slice();
    const message = `the provider gave something else than ${KEY_BYTES} bytes for the key ${quoted(id)}`;
    throw new FulmarError("ENCRYPTION_KEY_WRONG", message, { keyId: id });
  }

  #check(key: Uint8Array, salt: Uint8Array): Uint8Array {
    return this.#runtime.cryptography.deriveKey(key, salt, "fulmar key check", KEY_CHECK_BYTES);
  }

  #seal(key: Uint8Array, { salt, keyId }: KeySection, purpose: FilePurpose, header: Uint8Array): FileSeal {
    const own = this.#runtime.cryptography.deriveKey(key, salt, `fulmar ${purpose}`, KEY_BYTES);
    return new FileSeal(this.#runtime, keyId, header, own);
  }
}

/** The seal of an existing file, by what stands behind its header. */
export function findSeal(
  runtime: Omit<DiskRuntime, "fileSystem">,
  path: string,
  section: KeySection,
  purpose: FilePurpose,
  header: Uint8Array,
): Promise<FileSeal> {
  if (runtime.keyring === undefined) return Promise.reject(keyMissing(path, section.keyId));
  return runtime.keyring.find(path, section, purpose, header);
}

function keyMissing(path: string, keyId: string): FulmarError {
  const message = `${path} is encrypted under the key ${quoted(keyId)}, which was not given: give it as encryption`;
  return new FulmarError("ENCRYPTION_KEY_MISSING", message, { file: path, keyId });
}

/** The name of a key as it may stand in a message: one that a damaged file has may be anything. */
function quoted(keyId: string): string {
  return JSON.stringify(keyId);
}
