import {
  type CommitEvent,
  type OpenOptions,
  open,
  type Store,
  type WatchStream,
} from "../../../src/index.js";
import {
  nodeCryptography,
  type SimulatedDisk,
  type SimulatedStorage,
  simulatedStorage,
} from "../../../src/testing/index.js";

/** A machine, around an image of a disk perhaps. */
export function machine(seed = 1, disk?: SimulatedDisk): SimulatedStorage {
  return simulatedStorage({ cryptography: nodeCryptography, seed, ...(disk === undefined ? {} : { disk }) });
}

/** Opens the store of a machine in a new process. */
export function openOn(storage: SimulatedStorage, options: OpenOptions<string> = {}): Promise<Store<string>> {
  return open<string>("/data", {
    runtime: storage.restart(),
    codec: "text",
    segmentBytes: 65_536,
    ...options,
  });
}

/** What a commit shows, short: `[version, key, value, key, value]`, deletions by their reason. */
export function brief(commit: CommitEvent<unknown>): unknown[] {
  const { version, changes, gap } = commit;
  if (gap !== undefined) return [version, "gap", gap.after, gap.through];
  return [
    version,
    ...changes.flatMap(({ key, type, value, reason }) => [key, type === "set" ? value : reason]),
  ];
}

/** The next `count` commits. */
export async function take<V>(
  stream: Pick<AsyncIterator<CommitEvent<V>, unknown>, "next">,
  count: number,
): Promise<CommitEvent<V>[]> {
  const commits: CommitEvent<V>[] = [];
  while (commits.length < count) {
    const { done, value } = await stream.next();
    if (done === true) break;
    commits.push(value);
  }
  return commits;
}

/** Everything that is left of a stream that ends. */
export async function rest<V>(stream: WatchStream<V>): Promise<CommitEvent<V>[]> {
  const commits: CommitEvent<V>[] = [];
  for await (const commit of stream) commits.push(commit);
  return commits;
}

export async function errorOf(
  work: Promise<unknown>,
): Promise<{ code?: string; details?: object; cause?: unknown }> {
  try {
    await work;
  } catch (error) {
    return error as { code?: string };
  }
  throw new Error("it did not fail");
}
