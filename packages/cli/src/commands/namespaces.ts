import type { Command } from "commander";
import { type Io, LineWriter } from "../io.js";
import { oneLine } from "../keys.js";
import { withStore } from "../session.js";
import { jsonOption } from "./options.js";

/** `fulmar namespaces DIR` */
export function addNamespaces(program: Command, io: Io): void {
  program
    .command("namespaces")
    .description("print the names of the namespaces that hold something, one a line, in order")
    .argument("<dir>", "data directory")
    .addOption(jsonOption())
    .action((directory: string, options: { readonly json?: true }) => namespaces(directory, options, io));
}

async function namespaces(directory: string, options: { readonly json?: true }, io: Io): Promise<void> {
  const names = await withStore(directory, { codec: "bytes" }, io, async (store) => store.namespaces());
  const lines = new LineWriter(io.stdout);
  for (const name of names) await lines.line(options.json ? JSON.stringify(name) : oneLine(name));
  await lines.flush();
}
