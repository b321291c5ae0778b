import { spawnSync } from "node:child_process";

const APT = "apt-get";

/**
 * Has a Redis server on this machine if that is possible: as root on Debian and its like the package is
 * installed, elsewhere nothing is done. Tells what happened; the comparison itself names what it leaves out.
 */
export function provideRedis() {
  if (works("redis-server")) return "redis-server is there";
  if (process.getuid?.() !== 0) return "no redis-server here, and only root can install it: left out";
  if (!works(APT)) return "no redis-server here, and no apt to install it with: left out";
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "--yes", "--no-install-recommends", "redis-server"];
  for (const command of [install, ["update"], install]) {
    spawnSync(APT, ["--quiet", "--quiet", ...command], {
      env: environment,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (works("redis-server")) return "installed redis-server";
  }
  return "redis-server could not be installed: left out";
}

function works(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}
