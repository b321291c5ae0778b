import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NodeReport } from "../commands/report.js";
import type { Workspace } from "./workspace.js";

const PROGRAM = fileURLToPath(new URL("../main.js", import.meta.url));
const REPORT_INTERVAL_MS = 200;
const STOP_MS_MAX = 60_000;

/** One `fulmar-filesync run` as a process of its own. */
export class NodeProcess {
  readonly name: string;
  readonly tree: string;
  readonly #workspace: Workspace;
  #child: ChildProcess | undefined;
  #exit: Promise<void> = Promise.resolve();
  #report: NodeReport | undefined;
  #listeners: (() => void)[] = [];
  /** The end that was asked for. */
  #expected: "exit code 0" | "SIGKILL" | "any" | undefined;
  /** Why it ended, if nobody wanted it to. */
  failure: string | undefined;

  constructor(name: string, workspace: Workspace) {
    this.name = name;
    this.#workspace = workspace;
    this.tree = workspace.tree(name);
  }

  /** The latest status; undefined while it starts or is down. */
  get report(): NodeReport | undefined {
    return this.#report;
  }

  get logFile(): string {
    return join(this.#workspace.logs, `${this.name}.log`);
  }

  start(peers: readonly string[]): void {
    const log = openSync(this.logFile, "a", 0o600);
    const child = spawn(process.execPath, [PROGRAM, ...this.#arguments(peers)], {
      stdio: ["pipe", "pipe", log],
      // In a group of its own, so that Ctrl-C reaches only the parent, which then stops all in order.
      detached: process.platform !== "win32",
    });
    closeSync(log);
    this.#child = child;
    this.#expected = undefined;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) =>
      this.#read(child, line),
    );
    child.stdin?.on("error", () => {});
    this.#exit = new Promise((resolve) => {
      const end = (how: string): void => {
        const asExpected = this.#expected === how || this.#expected === "any";
        if (!asExpected) this.failure ??= `node ${this.name} ended unexpectedly (${how})`;
        if (this.#child === child) this.#child = undefined;
        this.#report = undefined;
        this.#announce();
        resolve();
      };
      child.once("error", (error) => end(error.message));
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  /** Kills the process as a power button would, at once. */
  async kill(): Promise<void> {
    this.#expected = "SIGKILL";
    this.#child?.kill("SIGKILL");
    await this.#exit;
  }

  /** Asks the process to stop, and insists if it does not. */
  async stop(): Promise<void> {
    // Before its first status it may not have got to the point of stopping in order.
    this.#expected = this.#report === undefined ? "any" : "exit code 0";
    this.#child?.kill("SIGTERM");
    const insist = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_MS_MAX);
    await this.#exit;
    clearTimeout(insist);
  }

  /** For the moment when nothing can be awaited any more. */
  killNow(): void {
    this.#expected = "any";
    this.#child?.kill("SIGKILL");
  }

  /** Calls `listener` at every status and end, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  #arguments(peers: readonly string[]): string[] {
    return [
      "run",
      ...["--dir", this.tree, "--data", this.#workspace.data(this.name), "--name", this.name],
      ...["--listen", "127.0.0.1:0", "--secret-file", this.#workspace.secretFile],
      ...["--report", "json", "--report-interval", String(REPORT_INTERVAL_MS), "--until-stdin-ends"],
      ...peers.flatMap((peer) => ["--peer", peer]),
    ];
  }

  #read(child: ChildProcess, line: string): void {
    if (this.#child !== child) return;
    this.#report = JSON.parse(line) as NodeReport;
    this.#announce();
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }
}
