import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";

const run = promisify(execFile);

/** Why this machine gives no file systems of a test's own; undefined where it does. */
export async function whyNoMount(...options: string[]): Promise<string | undefined> {
  if (process.platform !== "linux") return "needs Linux, to mount a file system";
  if (process.getuid?.() !== 0) return "needs root, to mount a file system";
  const at = await mkdtemp(join(tmpdir(), "fulmar-mount-"));
  try {
    await run("mount", [...options, at]);
    await run("umount", [at]);
    return undefined;
  } catch (error) {
    return `cannot mount here: ${String((error as { stderr?: string }).stderr ?? error).trim()}`;
  } finally {
    await rm(at, { recursive: true, force: true });
  }
}

/** Mounts a file system on a directory of its own until the test is over, however it ends. */
export async function mounted(...options: string[]): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), "fulmar-mount-"));
  await run("mount", [...options, at]);
  onTestFinished(async () => {
    // A test that failed may have left files open: then it goes once they are closed.
    await unmount(at, "--lazy");
    await rm(at, { recursive: true, force: true });
  });
  return at;
}

/** Unmounts it if it is mounted. */
export async function unmount(at: string, ...options: string[]): Promise<void> {
  await run("mountpoint", ["--quiet", at]).then(
    () => run("umount", [...options, at]),
    () => undefined,
  );
}
