// Installs the packed library into an empty project, without a network, and uses it from an ES module
// and from CommonJS as a stranger would: open a durable store, write, close, open again, read. Its declarations have
// to please the strictest compiler, too.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packAll, root, runNpm, withScratch } from "./pack.mjs";

const BODY = `
async function main(directory) {
  const first = await open(directory);
  await first.set(["user", 1], { name: "Ada" });
  await first.batch([{ type: "set", key: "a", value: 1 }, { type: "set", key: "b", value: 2 }]);
  await first.delete("a");
  await first.close();

  const second = await open(directory);
  const found = [...second.list()].map(({ key, value }) => [key, value]);
  await second.close();
  const wanted = [["b", 2], [["user", 1], { name: "Ada" }]];
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error("read " + JSON.stringify(found));
  if (typeof replicate !== "function") throw new Error("fulmar/sync has no replicate");
}
main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`;
const PROGRAMS = {
  "use.mjs": `import { open } from "fulmar";\nimport { replicate } from "fulmar/sync";\n${BODY}`,
  "use.cjs": `const { open } = require("fulmar");\nconst { replicate } = require("fulmar/sync");\n${BODY}`,
};

/** Options that may be undefined, as they are where they come from an environment or from somebody else's options. */
const STRICT = `
import { dump, load, open, openReader, repair, restore, verify } from "fulmar";
import { replicate } from "fulmar/sync";
import "fulmar/testing";

export async function main(text?: string, count?: number, yes?: boolean, signal?: AbortSignal): Promise<void> {
  const checkpoint = { everyMs: count, everyBytes: count, everyCommits: count };
  const limits = { keyBytesMax: count, valueBytesMax: count };
  const db = await open<number>(text, {
    name: text, durability: undefined, codec: undefined, limits, checkpoint, maxMemory: count, eviction: undefined,
    encryption: { key: null, previousKeys: undefined, refusePlain: yes }, shared: { idleMs: count },
    onProgress: undefined,
  });
  await db.set("k", 1, { ttl: count, expiresAt: count, previous: yes, durability: undefined });
  await db.batch([{ type: "set", key: "k", value: 1, ttl: count, expiresAt: undefined }], { durability: undefined });
  db.list({ prefix: text, gt: text, gte: text, lt: text, lte: text, reverse: yes, limit: count });
  db.entry("k", { tombstones: yes });
  db.atomic().check({ key: "k", version: count, exists: yes });
  db.watch("k", { since: count, coalesce: yes, signal, limits: { bytes: count, commits: count } });
  db.watch("k", () => {}, { signal });
  db.namespace<string>("n", { codec: undefined, ttl: count });
  await db.transact((tx) => tx.get("k", { conflict: yes }), { isolation: undefined, retries: count, signal });
  await db.transact((tx) => [...tx.keys({ prefix: text, conflict: yes })], { timeoutMs: count });
  await db.evict({ bytes: count, entries: count });
  await db.backup("b", { signal, onProgress: undefined });
  await load(db, dump(db, { prefix: text }), { signal, batchEntries: count, durability: undefined });
  await openReader(db.readerHandle(), { codec: undefined, runtime: undefined });
  await restore("b", "r", { signal, encryption: undefined });
  await repair("r", { dryRun: yes, signal });
  await verify("r", { encryption: undefined, onProgress: undefined });
  const replicator = await replicate(db, { listen: text, secret: text, discover: yes, reconnect: { leastMs: count } });
  await replicator.synced(count, { peers: count, timeoutMs: count, signal });
}
`;
const STRICTEST = {
  target: "es2022",
  lib: ["es2023", "esnext.disposable"],
  module: "nodenext",
  types: ["node"],
  typeRoots: [join(root, "node_modules", "@types")],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  isolatedModules: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmit: true,
};

await withScratch((scratch) => {
  const library = packAll(scratch).find(({ name }) => name === "fulmar");
  writeFileSync(join(scratch, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  runNpm(["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", library.tarball], scratch);
  const packages = readdirSync(join(scratch, "node_modules")).filter((name) => !name.startsWith("."));
  if (packages.join() !== "fulmar") throw new Error(`installing fulmar brought ${packages.join(", ")}`);
  for (const [file, text] of Object.entries(PROGRAMS)) {
    const directory = join(scratch, `data-${file}`);
    writeFileSync(join(scratch, file), text);
    execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", file, directory], {
      cwd: scratch,
      stdio: "inherit",
    });
    if (!existsSync(directory)) throw new Error(`${file} made no data directory`);
    console.log(`${file}: wrote, reopened and read`);
  }
  writeFileSync(join(scratch, "strict.mts"), STRICT);
  const project = { compilerOptions: STRICTEST, files: ["strict.mts"] };
  writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify(project));
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [compiler, "--project", scratch], { stdio: "inherit" });
  console.log("strict.mts: compiled with every strict option");
});
