import { type ChildProcess, spawn } from "node:child_process";
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

/** A child process that follows {@link ./lock-contender.ts}. */
export class Contender {
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  readonly #reports: string[] = [];
  #wake: (() => void) | undefined;
  readonly exited: Promise<void>;

  /** As the user of this number, which takes root, or as the present one. */
  constructor(script: string, user?: number) {
    const identity = user === undefined ? {} : { uid: user, gid: user };
    this.#process = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"], ...identity });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on("line", (line) => {
      this.#reports.push(line);
      this.#wake?.();
    });
    this.exited = new Promise((resolve) => {
      this.#process.on("exit", () => {
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
