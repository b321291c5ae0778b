import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { environmentWithoutNpm, runCommand } from "./command.mjs";

const INSTALL_TIMEOUT_MS = 30 * 60_000;

/** Installs what package-lock.json holds. Whether that is there now. */
export async function installLocked(root) {
  if ((await npm(root, "ci", "--silent")) === 0) return true;
  // A lock made where packages for other platforms cannot be had lacks them, which makes `npm ci` refuse
  // it. The versions and checksums that it does hold are kept by this, too.
  console.log("npm ci refuses the lock; installing what the lock holds instead");
  return (await npm(root, "install", "--no-save")) === 0 && staleInstallation(root) === undefined;
}

function npm(root, ...args) {
  const program = process.platform === "win32" ? "npm.cmd" : "npm";
  const environment = environmentWithoutNpm();
  return runCommand([program, ...args], { cwd: root, environment, timeoutMs: INSTALL_TIMEOUT_MS });
}

/**
 * Why the installed packages are not those of package-lock.json, or undefined when they are. Compares
 * with the record that npm keeps of what it installed; optional packages may be absent on this platform.
 */
export function staleInstallation(root) {
  const installedPath = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedPath)) return "nothing is installed yet";
  const wanted = readLock(join(root, "package-lock.json"));
  const installed = readLock(installedPath);
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes("node_modules/")) continue;
    const found = installed[path];
    if (found === undefined && (entry.optional || entry.peer)) continue;
    if (found === undefined) return `${path} is missing`;
    if (found.version !== entry.version) return `${path} is ${found.version}, not ${entry.version}`;
    if (!existsSync(join(root, path))) return `${path} has been removed`;
  }
  return undefined;
}

/**
 * A dependency that some package.json asks for and package-lock.json does not know in that form, or
 * undefined when the two agree.
 */
export function unlockedDependency(root) {
  const locked = readLock(join(root, "package-lock.json"));
  const directories = ["", ...JSON.parse(readFileSync(join(root, "package.json"), "utf8")).workspaces];
  for (const directory of directories) {
    const manifest = JSON.parse(readFileSync(join(root, directory, "package.json"), "utf8"));
    for (const kind of ["dependencies", "devDependencies"]) {
      for (const [name, range] of Object.entries(manifest[kind] ?? {})) {
        if (locked[directory]?.[kind]?.[name] !== range)
          return `${join(directory, "package.json")} asks for ${name} ${range}`;
      }
    }
  }
  return undefined;
}

function readLock(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}
