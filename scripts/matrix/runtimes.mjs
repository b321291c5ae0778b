import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runNpm } from "../package/pack.mjs";

/**
 * Where the library has to work, each as npm delivers it. `program` is where the package keeps it, and `flags` what it
 * needs to run a file as Node does.
 */
export const RUNTIMES = [
  { name: "node-20.19", delivery: "node@20.19.0", program: "node/bin/node", flags: [] },
  { name: "node-22", delivery: "node@22.23.3", program: "node/bin/node", flags: [] },
  { name: "node-24", delivery: "node@24.21.0", program: "node/bin/node", flags: [] },
  { name: "node-26", delivery: "node@26.10.0", program: "node/bin/node", flags: [] },
  { name: "bun", delivery: "bun@1.4.5", program: "bun/bin/bun.exe", flags: [] },
  { name: "deno", delivery: "deno@2.9.6", program: "deno/deno", flags: ["run", "--allow-all"] },
];

/** Installs a runtime below `cache` unless it is there, and returns the command that runs a file with it. */
export function installed({ name, delivery, program, flags }, cache) {
  const directory = join(cache, name);
  const path = join(directory, "node_modules", program);
  if (!existsSync(path) || deliveryIn(directory) !== delivery) {
    console.log(`installing ${delivery}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "package.json"), JSON.stringify({ private: true, description: delivery }));
    runNpm(["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", delivery], directory);
  }
  return [path, ...flags];
}

function deliveryIn(directory) {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).description;
}
