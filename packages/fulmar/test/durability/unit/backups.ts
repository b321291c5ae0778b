import type { Runtime } from "../../../src/base/runtime/interface.js";
import { nodeCryptography } from "../../../src/base/runtime/node/cryptography.js";
import { type BackupContext, prepareTarget, writeBackup } from "../../../src/durability/backup-writer.js";
import type { BackupSource, BackupSummary } from "../../../src/durability/care-types.js";
import { createEntryHash } from "../../../src/memory/entry-hash.js";
import { createPlainEngine } from "../../../src/memory/plain/engine.js";
import { Coverage } from "../../../src/record/coverage.js";
import { OriginTable } from "../../../src/record/origins.js";
import { entryOf, IDS, type Item } from "./checkpoint-bytes.js";

export const [WRITER, FOREIGN] = IDS;
export const STORE_ID = "5a".repeat(16);
export const BACKUP = "/backups/one";

/** What a backup is made of. */
export interface Origin {
  readonly source: BackupSource;
  readonly context: BackupContext;
}

export interface OriginOptions extends Partial<BackupContext> {
  readonly hadPeers?: boolean;
  /** Its own identity, and those of others. */
  readonly ids?: readonly string[];
  /** Of which others it has commits, in this order. */
  readonly covered?: readonly string[];
}

/** A store of these items, the first of version 1, whose own commits are numbered up to 11. */
export function originOf(
  runtime: Runtime,
  items: readonly Item[],
  { hadPeers = false, ids = [WRITER], covered = ids.slice(1), ...context }: OriginOptions = {},
): Origin {
  const origins = new OriginTable();
  for (const id of ids) origins.intern(id);
  const engine = createPlainEngine({ hash: createEntryHash(nodeCryptography, origins) });
  engine.keepTombstones = hadPeers;
  for (const [i, item] of items.entries()) {
    const entry = entryOf(item);
    engine.put(i + 1, entry, 0, entry.length);
  }
  engine.settle(items.length);
  const coverage = new Coverage();
  for (const id of covered) coverage.set(id, { upTo: 9, holes: [{ from: 3, to: 4 }] });
  const numbers = { version: items.length, seq: 11, hlc: 99 };
  return {
    source: { ...numbers, storeId: STORE_ID, incarnation: WRITER, coverage, engine, read: () => undefined },
    context: {
      runtime,
      origins,
      compressed: false,
      stopped: () => false,
      progress: () => undefined,
      ...context,
    },
  };
}

export async function backUp({ source, context }: Origin, path = BACKUP): Promise<BackupSummary> {
  const { fileSystem } = context.runtime;
  await fileSystem.makeDirectory(fileSystem.parent(path));
  return writeBackup(context, await prepareTarget(context.runtime, path, source), source);
}
