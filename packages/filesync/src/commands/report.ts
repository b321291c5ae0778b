import type { Store } from "fulmar";
import type { Replicator } from "fulmar/sync";
import type { MirrorStatus } from "../mirror-status.js";

/** One status line of `fulmar-filesync run --report json`. */
export interface NodeReport extends MirrorStatus {
  readonly type: "status";
  readonly name: string;
  /** Where peers reach this node; absent if it does not listen. */
  readonly address?: string;
  readonly peers: readonly PeerReport[];
  /** Keys in the store. */
  readonly entries: number;
  readonly version: number;
  /** Equal on nodes whose stores are. Absent while there is work: it would be out of date at once. */
  readonly digest?: string;
}

export interface PeerReport {
  readonly name: string;
  readonly address: string;
  readonly state: string;
  readonly lagCommits: number;
  readonly lagMs: number;
}

type ReportedStore = Pick<Store<Uint8Array>, "version" | "status" | "digest">;

/** The digest that was computed last, and for which version. */
const digests = new WeakMap<ReportedStore, { readonly version: number; readonly digest: string }>();

export function reportOf(
  name: string,
  store: ReportedStore,
  replicator: Pick<Replicator, "address" | "peers">,
  mirror: MirrorStatus,
): NodeReport {
  return {
    type: "status",
    name,
    ...(replicator.address === undefined ? {} : { address: replicator.address }),
    peers: replicator.peers().map(({ name: peer, address, state, lagCommits, lagMs }) => ({
      name: peer ?? "",
      address: address ?? "",
      state,
      lagCommits,
      lagMs,
    })),
    entries: store.status().entries,
    version: store.version,
    ...(mirror.idle ? { digest: digestOf(store) } : {}),
    ...mirror,
  };
}

function digestOf(store: ReportedStore): string {
  const known = digests.get(store);
  if (known?.version === store.version) return known.digest;
  const fresh = { version: store.version, digest: store.digest() };
  digests.set(store, fresh);
  return fresh.digest;
}

/** A status line for people. */
export function textOf(report: NodeReport): string {
  const connected = report.peers.filter(({ state }) => state === "connected").length;
  const parts = [
    report.name,
    report.address ?? "not listening",
    `peers ${connected}/${report.peers.length}`,
    `files ${report.files}`,
    sizeText(report.bytes),
    report.idle ? "in step" : `pending ${report.pending + report.waiting}`,
  ];
  if (report.conflicts > 0) parts.push(`conflicts ${report.conflicts}`);
  const refused = Object.values(report.refused).reduce((sum, one) => sum + one, 0);
  if (refused > 0) parts.push(`refused ${refused}`);
  const skipped = Object.values(report.skipped).reduce((sum: number, one: number) => sum + one, 0);
  if (skipped > 0) parts.push(`skipped ${skipped}`);
  if (report.lastError !== undefined) parts.push(`last error: ${report.lastError}`);
  return parts.join("  ");
}

export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
