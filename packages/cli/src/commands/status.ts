import type { Command } from "commander";
import type { StoreStatus } from "fulmar";
import type { Io } from "../io.js";
import { oneLine } from "../keys.js";
import { withStore } from "../session.js";
import { jsonOption } from "./options.js";

/** `fulmar status DIR` */
export function addStatus(program: Command, io: Io): void {
  program
    .command("status")
    .description("print identity, size and state of a store")
    .argument("<dir>", "data directory")
    .addOption(jsonOption())
    .action((directory: string, options: { json?: true }) => status(directory, options.json === true, io));
}

async function status(directory: string, json: boolean, io: Io): Promise<void> {
  const found = await withStore(directory, { codec: "bytes" }, io, async (store) => store.status());
  await io.stdout.write(`${json ? JSON.stringify(found) : describeStatus(found)}\n`);
}

function describeStatus(status: StoreStatus): string {
  const { version, log, checkpoint, memory } = status;
  const rows: [string, string][] = [
    ["directory", oneLine(status.directory ?? "")],
    ["name", oneLine(status.name)],
    ["state", status.state],
    ["store id", status.storeId],
    ["incarnation", status.incarnation],
    ["entries", `${status.entries} (and ${status.tombstones} tombstones)`],
    ["version", `${version.applied} applied, ${version.synced} synced`],
    [
      "checkpoint",
      checkpoint === undefined ? "none" : `version ${checkpoint.version}, ${checkpoint.bytes} bytes`,
    ],
    ["log", log === undefined ? "none" : `${log.segments} segments, ${log.bytes} bytes`],
    ...encryptionRows(status),
    ["memory", `${memory.recordBytes} bytes of records, ${memory.overheadBytes} bytes around them`],
  ];
  return rows.map(([label, text]) => `${label.padEnd(12)} ${text}`).join("\n");
}

function encryptionRows({ encryption }: StoreStatus): [string, string][] {
  if (encryption === undefined) return [];
  const { current, inUse, plain } = encryption;
  const files = [...inUse.map(oneLine), ...(plain ? ["plain files"] : [])].join(", ");
  return [["encryption", `${current === null ? "off" : oneLine(current)}; in use: ${files}`]];
}
