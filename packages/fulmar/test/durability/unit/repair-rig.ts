import type { CareProgress, RepairReport } from "../../../src/durability/care-types.js";
import { repairDirectory } from "../../../src/durability/repair.js";
import type { SimulatedStorage } from "../../../src/testing/simulated/index.js";
import { edit, filesOf, MiniStore, machine, ROOT } from "../harness.js";

export const KEPT = `${ROOT}/damaged-1`;
/** Commits of which the third is damaged. */
export const VALUES = ["one", "two", "three", "four"];
export const LEFT = new Map(VALUES.filter((value) => value !== "three").map((value) => [value, value]));
export const decoder = new TextDecoder();

/** The machine of the present test. */
export let storage: SimulatedStorage = machine();

/** Goes on with this machine, or one with an empty disk. */
export function begin(on: SimulatedStorage = machine()): void {
  storage = on;
}

/** A store that was closed, with the first commits in a checkpoint, and one damaged one behind that. */
export async function damaged(checkpointed = 1): Promise<void> {
  const store = await MiniStore.open(storage.runtime);
  for (const [i, value] of VALUES.entries()) {
    await store.save(value, value);
    if (i + 1 === checkpointed) await store.checkpoint();
  }
  await store.close();
  const log = filesOf(storage, ".log").at(-1)?.[0] ?? "";
  await edit(storage, log, (bytes) => {
    bytes[Buffer.from(bytes).indexOf("three")] ^= 1;
    return bytes;
  });
}

export interface Options {
  readonly dryRun?: boolean;
  readonly stopped?: () => boolean;
  readonly progress?: (progress: CareProgress) => void;
}

export function repaired(options: Options = {}, root = ROOT): Promise<RepairReport> {
  const context = {
    runtime: storage.restart(),
    dryRun: false,
    stopped: () => false,
    progress: () => undefined,
  };
  return repairDirectory({ ...context, ...options }, root);
}

export async function create(path: string): Promise<void> {
  const { fileSystem } = storage.restart();
  await fileSystem.makeDirectory(fileSystem.parent(path));
  await (await fileSystem.open(path, "create")).close();
}

export const names = (): string[] =>
  filesOf(storage, `${ROOT}/`)
    .map(([path]) => path.slice(ROOT.length + 1))
    .filter((name) => !name.startsWith("LOCK"));

export async function contents(): Promise<Map<string, string>> {
  const store = await MiniStore.open(storage.restart());
  const found = store.contents();
  await store.close();
  return found;
}
