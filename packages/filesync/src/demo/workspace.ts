import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Everything that the demonstration puts on the disk, in one temporary directory. */
export class Workspace {
  readonly base: string;

  private constructor(base: string) {
    this.base = base;
  }

  /** Makes the temporary directory in `parent`, with logs and a random secret in it. */
  static async create(parent: string | undefined): Promise<Workspace> {
    if (parent !== undefined) await mkdir(parent, { recursive: true });
    const workspace = new Workspace(await realpath(await mkdtemp(join(parent ?? tmpdir(), "fulmar-demo-"))));
    await mkdir(workspace.logs);
    await writeFile(workspace.secretFile, randomBytes(32).toString("hex"), { mode: 0o600 });
    return workspace;
  }

  get secretFile(): string {
    return join(this.base, "secret");
  }

  get logs(): string {
    return join(this.base, "logs");
  }

  /** The directory that a node mirrors. */
  tree(name: string): string {
    return join(this.base, name);
  }

  /** Where a node keeps store and index. */
  data(name: string): string {
    return join(this.base, `data-${name}`);
  }

  async remove(): Promise<void> {
    await rm(this.base, { recursive: true, force: true, maxRetries: 5 });
  }

  /** For the moment when the process ends and nothing can be awaited any more. */
  removeNow(): void {
    rmSync(this.base, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Removes all but the logs, which explain a failure. */
  async keepLogsOnly(names: readonly string[]): Promise<void> {
    await rm(this.secretFile, { force: true });
    for (const name of names) {
      await rm(this.tree(name), { recursive: true, force: true, maxRetries: 5 });
      await rm(this.data(name), { recursive: true, force: true, maxRetries: 5 });
    }
  }
}
