import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Durability, type Encryption, FulmarError, type Namespace, open, type Store } from "fulmar";
import { codeOf } from "./errors.js";
import type { Io } from "./io.js";
import { ProgressBar } from "./progress.js";
import type { CodecName } from "./values.js";

/** What each data directory holds; without it there is no store. */
const MANIFEST = "MANIFEST";

export interface SessionOptions {
  readonly codec: CodecName;
  readonly durability?: Durability;
  /** Makes a new store where there is none. */
  readonly create?: boolean;
}

/** Opens the store, lets `work` use it, and closes it whatever happens. */
export async function withStore<T>(
  directory: string,
  options: SessionOptions,
  io: Io,
  work: (store: Store<unknown>) => Promise<T>,
): Promise<T> {
  if (options.create !== true) await requireStore(directory);
  const progress = new ProgressBar(io.stderr);
  const store = await open<unknown>(directory, {
    codec: options.codec,
    ...withKeys(io),
    ...(options.durability !== undefined && { durability: options.durability }),
    onProgress: ({ phase, bytes, bytesTotal }) => progress.update(`reading ${phase}`, bytes, bytesTotal),
  }).finally(() => progress.clear());
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The option for functions of the library that read files of a store. */
export function withKeys({ encryption }: Io): { encryption?: Encryption } {
  return encryption === undefined ? {} : { encryption };
}

/** What a command works on: the store, or a namespace of it. */
export function partOf(
  store: Store<unknown>,
  { namespace }: { readonly namespace?: string },
): Store<unknown> | Namespace<unknown> {
  return namespace === undefined ? store : store.namespace(namespace);
}

/** `open` would make a store of nothing, which no command that reads may do. */
export async function requireStore(directory: string): Promise<void> {
  const kind = await statusOf(directory);
  if (kind === undefined) throw new FulmarError("PATH_UNUSABLE", `there is no directory ${directory}`);
  if (!kind.isDirectory()) throw new FulmarError("PATH_UNUSABLE", `${directory} is not a directory`);
  if ((await statusOf(join(directory, MANIFEST))) !== undefined) return;
  throw new FulmarError("NOT_A_STORE", `${directory} holds no store: it has no file ${MANIFEST}`);
}

/** Whether a path leads to a file, as that of a backup does. */
export async function isFile(path: string): Promise<boolean> {
  return (await statusOf(path))?.isFile() === true;
}

async function statusOf(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    const system = codeOf(cause);
    if (system === "ENOENT") return undefined;
    const code = system === "EACCES" || system === "EPERM" ? "ACCESS_DENIED" : "PATH_UNUSABLE";
    throw new FulmarError(code, `cannot look at ${path} (${system})`, { path, system, cause });
  }
}
