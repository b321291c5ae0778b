import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a process and its directories have in use, as far as it could grow for ever. */
export interface Resources {
  readonly heapBytes: number;
  readonly bufferBytes: number;
  readonly storeBytes: number;
  readonly oldVersions: number;
  readonly pinnedStates: number;
  readonly directoryBytes: number;
  readonly files: number;
  readonly descriptors: number;
  readonly handles: number;
}

/** How much more of each is no growth: V8's own, a segment of the log that was not there before, a closing socket. */
const SLACK: Resources = {
  heapBytes: 6_000_000,
  bufferBytes: 40_000_000,
  storeBytes: 2_000_000,
  oldVersions: 2000,
  pinnedStates: 0,
  directoryBytes: 8_000_000,
  files: 4,
  descriptors: 4,
  handles: 8,
};

/** A collection now, where V8 has it; elsewhere what is measured includes garbage. */
const collect: () => void = (() => {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("globalThis.gc");
  return typeof gc === "function" ? () => gc() : () => undefined;
})();

/** What the process and a directory have in use now, beside what the stores say of themselves. */
export async function measured(
  directory: string,
  stores: Pick<Resources, "storeBytes" | "oldVersions" | "pinnedStates">,
): Promise<Resources> {
  collect();
  // What holds buffers of a store that was closed may itself wait for a turn to be let go.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const files = filesIn(directory);
  return {
    ...stores,
    heapBytes: heapUsed,
    bufferBytes: arrayBuffers,
    directoryBytes: files.reduce((sum, path) => sum + statSync(path).size, 0),
    files: files.length,
    descriptors: openDescriptors(),
    handles: process.getActiveResourcesInfo().length,
  };
}

/** What grew beyond its slack from the first half to the second one, with both maxima; nothing if all is well. */
export function grown(samples: readonly Resources[]): string[] {
  // The first ones are of caches and tables that fill up once.
  const settled = samples.slice(Math.floor(samples.length / 4));
  const middle = Math.floor(settled.length / 2);
  const most = (part: readonly Resources[], name: keyof Resources): number =>
    Math.max(...part.map((sample) => sample[name]));
  return (Object.keys(SLACK) as (keyof Resources)[]).flatMap((name) => {
    const [before, after] = [most(settled.slice(0, middle), name), most(settled.slice(middle), name)];
    return after <= before + SLACK[name] ? [] : [`${name} grew from ${before} to ${after}`];
  });
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

/** Files and sockets that are open, where the system lists them. */
function openDescriptors(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
}
