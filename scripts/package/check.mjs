// Checks the packed packages: what they hold, that their manifests are right (publint), and that every
// kind of TypeScript set-up finds the types (attw; ESM only, which `require` can load as well).
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { checkContents } from "./contents.mjs";
import { packAll, root, withScratch } from "./pack.mjs";

function runTool(path, ...args) {
  const { status } = spawnSync(process.execPath, [join(root, "node_modules", path), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  return status === 0;
}

function checkPackage({ name, tarball, files, sizeBytes, hasTypes }) {
  console.log(`\n${name}: ${files.length} files, ${(sizeBytes / 1024).toFixed(0)} KiB packed`);
  const faults = checkContents(name, files);
  for (const fault of faults) console.error(`  ${fault}`);
  const published = runTool("publint/src/cli.js", "run", tarball, "--strict");
  const attw = ["--profile", "esm-only", "--no-definitely-typed", "--exclude-entrypoints", "package.json"];
  // A package that is only a command has no types to find.
  const typed =
    !hasTypes || runTool("@arethetypeswrong/cli/dist/index.js", tarball, ...attw, "--format", "ascii");
  return faults.length === 0 && published && typed;
}

const good = await withScratch((scratch) =>
  packAll(scratch)
    .map((packed) => ({
      ...packed,
      hasTypes: packed.files.some((path) => /^dist\/([\w-]+\/)?index\.d\.ts$/.test(path)),
    }))
    .map(checkPackage)
    .every(Boolean),
);
process.exitCode = good ? 0 : 1;
