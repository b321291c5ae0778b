import { Coverage } from "../record/coverage.js";
import { OriginTable } from "../record/origins.js";
import { OLDER_BACKUPS, type OlderBackup, openBackup } from "./backup-reader.js";
import type { DirectoryProgress, Finding, VerifyReport } from "./directory-types.js";
import type { DiskRuntime } from "./keyring.js";
import { collect } from "./verify.js";

/** Checks every byte of a backup. Rejects with PATH_UNUSABLE, NOT_A_STORE or an error of the disk. */
export async function verifyBackup(
  runtime: DiskRuntime,
  path: string,
  onProgress?: (progress: DirectoryProgress) => void,
  older: ReadonlyMap<number, OlderBackup> = OLDER_BACKUPS,
): Promise<VerifyReport> {
  const findings: Finding[] = [];
  const backup = await collect(findings, () => openBackup(runtime, path, older));
  const origins = new OriginTable();
  const found = { seq: 0, hlc: 0, coverage: new Coverage() };
  const progress = (entries: number, bytes: number, bytesTotal: number): void =>
    onProgress?.({ phase: "checkpoint", entries, bytes, bytesTotal });
  const target = { loader: undefined, origins, found, progress };
  const read = backup === undefined ? undefined : await collect(findings, () => backup.read(target));
  return {
    kind: "backup",
    ok: findings.length === 0,
    clean: true,
    storeId: backup?.facts.storeId ?? "",
    incarnation: backup?.facts.incarnation ?? "",
    version: backup?.facts.version ?? 0,
    segments: 0,
    commits: 0,
    entries: read?.entries ?? 0,
    findings,
  };
}
