import { Coverage } from "../record/coverage.js";
import { attempt, formatOlder, UNREADABLE_REMEDY, withFile } from "./files.js";
import { identityOf, newIdentity } from "./first-open.js";
import type { DiskRuntime } from "./keyring.js";
import { type Layout, numbersIn } from "./layout.js";
import { MANIFEST_FORMAT, readManifestFormat } from "./manifest.js";
import { commitNewStore, prepareNewStore, type WholeState } from "./new-store.js";
import { listIfThere } from "./salvage.js";

/** A store as the code of an older format read it. */
export interface OlderStore extends WholeState {
  /** What the manifest says of its own file: differs in a copied directory. */
  readonly identity: string;
}

/**
 * The code that read an older format, kept as it was. It takes a whole directory, changes nothing, ignores files
 * with numbers that its manifest does not lead to, and rejects with CORRUPT as it always did. After an unclean stop the
 * numbers that it returns are those after the jump.
 */
export interface OlderFormat {
  load(runtime: DiskRuntime, layout: Layout): Promise<OlderStore>;
}

/** Readers of older formats by their number. Format 1 is the first: there is none before it. */
export const OLDER_FORMATS: ReadonlyMap<number, OlderFormat> = new Map();

/**
 * Brings a directory of an older format to the present one, if it is of one: all of it is read by the code of that
 * format and written anew, and the manifest that names the new files takes the old one's place in one step. A crash
 * leaves the old store or the new one; what is left of the other is removed by the recovery that follows.
 */
export async function upgrade(
  runtime: DiskRuntime,
  layout: Layout,
  older: ReadonlyMap<number, OlderFormat>,
): Promise<void> {
  const { fileSystem, checksum } = runtime;
  const format = await withFile(fileSystem, layout.manifest, "read", (handle) =>
    readManifestFormat(checksum, handle),
  );
  if (format === undefined || format >= MANIFEST_FORMAT) return;
  const reader = older.get(format);
  if (reader === undefined) throw formatOlder(layout.manifest, format, UNREADABLE_REMEDY);
  const store = await reader.load(runtime, layout);
  const status = await attempt("look at", layout.manifest, fileSystem.status(layout.manifest));
  const copied = identityOf(runtime, status?.identity ?? "") !== store.identity;
  const number = await nextNumber(runtime, layout);
  const context = { runtime, layout, number, stopped: () => false, progress: () => undefined };
  await prepareNewStore(context, copied ? asCopy(runtime, store) : store);
  await commitNewStore(runtime, layout, number);
}

/** Above every number that a file here has. */
export async function nextNumber(runtime: DiskRuntime, layout: Layout): Promise<number> {
  const names = [
    ...(await listIfThere(runtime, layout.log)),
    ...(await listIfThere(runtime, layout.checkpoints)),
  ];
  return Math.max(0, ...numbersIn(names)) + 1;
}

/** A copied directory is another writer, whose deletions have to reach the original. */
function asCopy(runtime: DiskRuntime, store: OlderStore): WholeState {
  const coverage = new Coverage();
  coverage.join(store.coverage);
  coverage.advance(store.incarnation, store.seq);
  return { ...store, coverage, incarnation: newIdentity(runtime), seq: 0, hadPeers: true };
}
