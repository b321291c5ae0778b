// Installs the packed library into an empty project, without a network, and uses it from an ES module
// and from CommonJS as a stranger would: open a durable store, write, close, open again, read.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packAll, runNpm, withScratch } from "./pack.mjs";

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
});
