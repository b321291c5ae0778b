import { Coverage } from "../record/coverage.js";
import { OriginTable } from "../record/origins.js";
import { inspectBackup, readBackup } from "./backup-reader.js";
import type { DirectoryProgress, Finding, VerifyReport } from "./directory-types.js";
import type { DiskRuntime } from "./keyring.js";
import { collect } from "./verify.js";

/** Checks every byte of a backup. Rejects with PATH_UNUSABLE, NOT_A_STORE or an error of the disk. */
export async function verifyBackup(
  runtime: DiskRuntime,
  path: string,
  onProgress?: (progress: DirectoryProgress) => void,
): Promise<VerifyReport> {
  const findings: Finding[] = [];
  const head = await collect(findings, () => inspectBackup(runtime, path));
  const origins = new OriginTable();
  const found = { seq: 0, hlc: 0, coverage: new Coverage() };
  const progress = (entries: number, bytes: number, bytesTotal: number): void =>
    onProgress?.({ phase: "checkpoint", entries, bytes, bytesTotal });
  const target = { loader: undefined, origins, found, progress };
  const read =
    head === undefined ? undefined : await collect(findings, () => readBackup(runtime, path, head, target));
  return {
    kind: "backup",
    ok: findings.length === 0,
    clean: true,
    storeId: head?.header.storeId ?? "",
    incarnation: head?.header.incarnation ?? "",
    version: head?.header.version ?? 0,
    segments: 0,
    commits: 0,
    entries: read?.entries ?? 0,
    findings,
  };
}
