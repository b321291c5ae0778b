import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the workspace. */
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** Where a package keeps its bundle, and in there what the bundle was made from. */
const OUTPUT = "dist/bundle";
const FINGERPRINT = ".fingerprint";
const TRIES_MAX = 10;

/** The packages whose published code is a bundle: each entry becomes a file of its name. */
export const BUNDLES = [
  {
    directory: "packages/fulmar",
    entries: { index: "src/index.ts", sync: "src/sync/index.ts", testing: "src/testing/index.ts" },
    external: [],
  },
  {
    directory: "packages/cli",
    entries: { main: "src/main.ts" },
    external: ["commander", "fulmar"],
  },
];

/** Makes the bundles whose sources have changed since. Resolves to the directories of these packages. */
export async function bundleChanged(bundles = BUNDLES) {
  const made = [];
  for (const bundle of bundles) {
    const fingerprint = fingerprintOf(bundle);
    if (fingerprint === madeFrom(bundle)) continue;
    await make(bundle, fingerprint);
    made.push(bundle.directory);
  }
  return made;
}

/** A digest of everything that decides what the bundle is: sources, settings, this script, the bundler. */
export function fingerprintOf({ directory }) {
  const hash = createHash("sha256");
  const sources = readdirSync(join(root, directory, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const settings = [
    join(root, directory, "package.json"),
    join(root, directory, "tsconfig.json"),
    join(root, "tsconfig.base.json"),
    join(root, "node_modules/rolldown/package.json"),
    fileURLToPath(import.meta.url),
  ];
  for (const path of [...sources, ...settings]) {
    const content = readFileSync(path);
    hash.update(`${relative(root, path)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

function madeFrom({ directory }) {
  const path = join(root, directory, OUTPUT, FINGERPRINT);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

/** Writes beside the former bundle and takes its place, so that no process ever finds half of one. */
async function make(bundle, fingerprint) {
  const output = join(root, bundle.directory, OUTPUT);
  const fresh = `${output}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  try {
    for (const [name, content] of await filesOf(bundle, output)) writeFileSync(join(fresh, name), content);
    writeFileSync(join(fresh, FINGERPRINT), fingerprint);
    replaceDirectory(output, fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Another build may do the same at the same time: the last one stays. */
function replaceDirectory(path, fresh) {
  for (let triesLeft = TRIES_MAX; ; triesLeft -= 1) {
    const former = `${fresh}.former`;
    try {
      if (existsSync(path)) renameSync(path, former);
      return renameSync(fresh, path);
    } catch (error) {
      const met = ["ENOENT", "ENOTEMPTY", "EEXIST"].includes(error.code);
      if (!met || triesLeft === 0) throw error;
    } finally {
      rmSync(former, { recursive: true, force: true });
    }
  }
}

/** Names and contents of what the bundler makes: code, and maps that hold the sources. */
async function filesOf({ directory, entries, external }, output) {
  // Only when there is something to do: the bundler itself takes longer to load than to look whether there is.
  const { rolldown } = await import("rolldown");
  const input = Object.fromEntries(
    Object.entries(entries).map(([name, path]) => [name, join(root, directory, path)]),
  );
  const bundle = await rolldown({
    input,
    cwd: root,
    platform: "node",
    tsconfig: join(root, directory, "tsconfig.json"),
    external: [/^node:/, ...external],
    transform: { target: "es2022" },
    onLog: refuse,
  });
  try {
    const { output: chunks } = await bundle.generate({
      dir: output,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "[name].js",
      sourcemap: true,
      sourcemapPathTransform: (path) => path.split(sep).join("/"),
      // What several entries use is in one file, which is loaded once: a class is one class for all of them.
      codeSplitting: { groups: [{ name: "shared", minShareCount: 2 }] },
      // Names stay as they are written, for stack traces. Comments are in the declarations and in the maps.
      minify: false,
      minifyInternalExports: false,
      comments: false,
    });
    return chunks.map((chunk) => [chunk.fileName, chunk.type === "chunk" ? chunk.code : chunk.source]);
  } finally {
    await bundle.close();
  }
}

/** A bundler that only warns, of an import that leads nowhere for example, has not made what was meant. */
function refuse(level, log) {
  if (level === "warn") throw new Error(`the bundler warns: ${log.message}`);
}
