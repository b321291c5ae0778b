import { type DemoArguments, parseDemoArguments, USAGE } from "./arguments.js";
import { Cluster, DemoFailure } from "./cluster.js";
import { figuresText } from "./figures.js";
import { fill } from "./fill.js";
import { showLive } from "./live-view.js";
import { runUnattended } from "./unattended.js";
import { Workspace } from "./workspace.js";

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: DemoArguments;
  try {
    options = parseDemoArguments(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const interruption = new AbortController();
  let exitCode = 0;
  for (const [name, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.on(name, () => {
      exitCode = options.once || name !== "SIGINT" ? code : 0;
      interruption.abort();
    });
  }
  const failed = await demonstrate(options, interruption.signal);
  return failed ? 1 : exitCode;
}

/** Whatever happens, no process stays, and of the files at most the logs of a failure. True if it failed. */
async function demonstrate(options: DemoArguments, signal: AbortSignal): Promise<boolean> {
  const workspace = await Workspace.create(options.base);
  const cluster = new Cluster(workspace, signal);
  const atExit = (): void => {
    cluster.killNow();
    workspace.removeNow();
  };
  process.on("exit", atExit);
  let failure: unknown;
  try {
    if (options.once) await unattended(cluster, options, signal);
    else await live(cluster, options, signal);
  } catch (error) {
    if (!signal.aborted) failure = error;
  }
  await cluster.stop().catch((error: unknown) => {
    failure ??= error;
  });
  process.off("exit", atExit);
  if (failure === undefined) {
    await workspace.remove();
    return false;
  }
  const reason =
    failure instanceof DemoFailure ? failure.message : failure instanceof Error ? failure.stack : failure;
  await workspace.keepLogsOnly(cluster.nodes.map(({ name }) => name));
  process.stderr.write(`FAILED: ${reason}\nThe logs of the nodes are in ${workspace.logs}\n`);
  return true;
}

async function unattended(cluster: Cluster, options: DemoArguments, signal: AbortSignal): Promise<void> {
  const startMs = performance.now();
  const say = (line: string): void => {
    process.stdout.write(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
  };
  const figures = await runUnattended(cluster, options, signal, say);
  say("all three directories and stores are equal");
  process.stdout.write(figuresText(figures));
}

async function live(cluster: Cluster, options: DemoArguments, signal: AbortSignal): Promise<void> {
  await cluster.start();
  await fill(cluster.nodes[0].tree, options);
  await showLive(cluster, signal);
}
