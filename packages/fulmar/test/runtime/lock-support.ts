import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const CONTENDER = "test/runtime/lock-contender";

/** Writes JavaScript of `src/base` and the contender below `target`, since child processes do not run TypeScript. */
export function compileContender(target: string): string {
  const sources = readdirSync(join(PACKAGE, "src/base"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `src/base/${name.slice(0, -3)}`);
  for (const source of [...sources, CONTENDER]) {
    const { outputText } = ts.transpileModule(readFileSync(join(PACKAGE, `${source}.ts`), "utf8"), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    mkdirSync(dirname(join(target, source)), { recursive: true });
    writeFileSync(join(target, `${source}.js`), outputText);
  }
  writeFileSync(join(target, "package.json"), `{ "type": "module" }`);
  return join(target, `${CONTENDER}.js`);
}

/** How a command is begun with process numbers of its own, and ended with whoever began it. */
const IN_A_CONTAINER = ["unshare", "--pid", "--fork", "--kill-child"] as const;

/** Why this machine gives nobody process numbers of his own; undefined where it does. */
export function whyNoContainer(): string | undefined {
  if (process.platform !== "linux") return "needs Linux, for process numbers of its own";
  if (process.getuid?.() !== 0) return "needs root, for process numbers of its own";
  const [command, ...words] = IN_A_CONTAINER;
  const { error, status, stderr } = spawnSync(command, [...words, "true"], { encoding: "utf8" });
  return status === 0
    ? undefined
    : `has no process numbers of its own here: ${error?.message ?? stderr.trim()}`;
}

/** A child process that follows {@link ./lock-contender.ts}. */
export class Contender {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #reports: string[] = [];
  #wake: (() => void) | undefined;
  readonly exited: Promise<void>;

  /**
   * As the user of this number, or with process numbers of its own, as in a container, where it is number 1: both take
   * root.
   */
  constructor(script: string, as: { readonly user?: number | undefined; readonly container?: boolean } = {}) {
    const identity = as.user === undefined ? {} : { uid: as.user, gid: as.user };
    const [command, ...words] =
      as.container === true ? [...IN_A_CONTAINER, process.execPath] : [process.execPath];
    this.#process = spawn(command, [...words, script], { stdio: ["pipe", "pipe", "inherit"], ...identity });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on("line", (line) => {
      this.#reports.push(line);
      this.#wake?.();
    });
    this.exited = new Promise((resolve) => {
      // Its output ends with it, also where another process began it.
      this.#process.on("close", () => {
        this.#reports.push("exited");
        this.#wake?.();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Gives an order and returns the report. */
  async order(text: string): Promise<string> {
    this.#process.stdin!.write(`${text}\n`);
    while (this.#reports.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#reports.shift()!;
  }

  /** No more orders: the process ends if nothing else holds it. */
  dismiss(): void {
    this.#process.stdin!.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.exited;
  }
}
