/**
 * `npm run churn`: a hundred million changes of all sizes below held snapshots, and whether memory comes
 * back. `--help` lists the options.
 */
import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { EngineTarget } from "./churn/engine-target.js";
import { Churn, loadFresh } from "./churn/plan.js";
import { StoreTarget } from "./churn/store-target.js";
import type { MeasuredTarget } from "./churn/target.js";
import { memoryNow } from "./observe.js";
import { positiveInteger, runProgram } from "./settings.js";

const SELF = fileURLToPath(import.meta.url);
const USAGE = `usage: npm run churn -- [options]

  --operations N         changes (100000000)
  --slots N              keys (400000)
  --value-bytes-max N    the longest values (4096)
  --seed N               the same changes as in an earlier run
  --check-every N        changes between two checks (a tenth of them)
  --store                through the public interface instead of the engine by itself
  --shared               the same with memory that other threads can read
  --help                 this text`;
/** Memory after the churn, as a multiple of that of a fresh load of the same data, at most. */
const RATIO_MAX = 1.3;
/** What may wait beside it for the next need where memory is shared: so much, or this part of what is in use. */
const IDLE_BYTES = 64 << 20;
const IDLE_PART = 0.25;
/** Changes between two turns of the event loop. */
const TURN = 1000;

interface Settings {
  readonly seed: number;
  readonly operations: number;
  readonly slots: number;
  readonly valueBytesMax: number;
  readonly checkEvery: number;
  readonly store: boolean;
  /** Whether that is a store that other threads can read. */
  readonly shared: boolean;
}

interface Memory {
  /** Growth of the resident set since before there was anything. */
  readonly residentBytes: number;
  readonly accountBytes: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      operations: { type: "string", default: "100000000" },
      slots: { type: "string", default: "400000" },
      "value-bytes-max": { type: "string", default: "4096" },
      seed: { type: "string" },
      "check-every": { type: "string" },
      store: { type: "boolean", default: false },
      shared: { type: "boolean", default: false },
      fresh: { type: "string" },
    },
  });
  const operations = positiveInteger(values.operations, "operations");
  const settings: Settings = {
    operations,
    slots: positiveInteger(values.slots, "slots"),
    valueBytesMax: positiveInteger(values["value-bytes-max"], "value-bytes-max"),
    seed: values.seed === undefined ? randomInt(1, 2 ** 31) : positiveInteger(values.seed, "seed"),
    checkEvery: positiveInteger(values["check-every"] ?? String(Math.ceil(operations / 10)), "check-every"),
    store: values.store || values.shared,
    shared: values.shared,
  };
  if (values.fresh !== undefined)
    return console.log(JSON.stringify(await measureFresh(values.fresh, settings)));
  const ratio = await churn(settings);
  if (ratio <= RATIO_MAX) return;
  console.error(`memory ended at ${ratio.toFixed(2)} x that of a fresh load; at most ${RATIO_MAX} is right`);
  process.exitCode = 1;
}

function makeTarget({ store, shared, valueBytesMax }: Settings): Promise<MeasuredTarget> {
  return store ? StoreTarget.open(valueBytesMax, shared) : Promise.resolve(new EngineTarget(valueBytesMax));
}

/** Runs everything; the greater of the two ratios at the end, without what may wait for the next need. */
async function churn(settings: Settings): Promise<number> {
  const { seed, operations, slots, valueBytesMax, checkEvery } = settings;
  console.log(
    `seed ${seed}: ${operations} operations on ${slots} slots, values up to ${valueBytesMax} bytes`,
  );
  const plan = new Churn({ seed, slots, valueBytesMax, holdsMax: 3 });
  const before = (await memoryNow()).rssBytes;
  const target = await makeTarget(settings);
  const begin = performance.now();
  let ratio = 0;
  while (plan.operations < operations) {
    const stop = Math.min(operations, plan.operations + checkEvery);
    while (plan.operations < stop) {
      plan.run(target, Math.min(TURN, stop - plan.operations));
      await target.turn();
    }
    ratio = await compare(plan, target, before, settings, begin);
  }
  await target.close();
  return ratio;
}

/** Checks everything, and holds memory against that of another process that has loaded just what is left. */
async function compare(
  plan: Churn,
  target: MeasuredTarget,
  residentBefore: number,
  settings: Settings,
  begin: number,
): Promise<number> {
  const phase = plan.phase;
  plan.releaseAll();
  await target.check(plan.sizes);
  const account = target.usage();
  const resident = (await memoryNow()).rssBytes - residentBefore;
  const fresh = await freshLoad(plan.sizes, settings);
  const ratios = [account.bytes / fresh.accountBytes, resident / fresh.residentBytes];
  const { keys, valueBytes } = plan.live();
  const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    [
      `${(plan.operations / 1e6).toFixed(1)} M operations after ${seconds.toFixed(0)} s (${phase}):`,
      `${keys} keys, ${mega(valueBytes)} of values;`,
      `account ${mega(account.bytes)}, fresh ${mega(fresh.accountBytes)}, ${ratios[0].toFixed(2)} x;`,
      `resident ${mega(resident)}, fresh ${mega(fresh.residentBytes)}, ${ratios[1].toFixed(2)} x`,
    ].join(" "),
  );
  const idle = (fresh: number): number =>
    settings.shared ? Math.max(IDLE_BYTES, IDLE_PART * RATIO_MAX * fresh) : 0;
  const ofAccount = (account.bytes - idle(fresh.accountBytes)) / fresh.accountBytes;
  return Math.max(ofAccount, (resident - idle(fresh.residentBytes)) / fresh.residentBytes);
}

async function freshLoad(sizes: Int32Array, settings: Settings): Promise<Memory> {
  const scratch = mkdtempSync(join(tmpdir(), "fulmar-churn-"));
  try {
    const path = join(scratch, "sizes");
    writeFileSync(path, new Uint8Array(sizes.buffer));
    const flags = [SELF, "--fresh", path, "--seed", String(settings.seed)];
    flags.push("--value-bytes-max", String(settings.valueBytesMax), ...(settings.store ? ["--store"] : []));
    if (settings.shared) flags.push("--shared");
    const { stdout } = await promisify(execFile)(process.execPath, flags);
    return JSON.parse(stdout) as Memory;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function measureFresh(path: string, settings: Settings): Promise<Memory> {
  const bytes = readFileSync(path);
  const sizes = new Int32Array(new Uint8Array(bytes).buffer);
  const before = (await memoryNow()).rssBytes;
  const target = await makeTarget(settings);
  loadFresh(sizes, target, settings.seed);
  await target.check(sizes);
  const { bytes: accountBytes } = target.usage();
  return { residentBytes: (await memoryNow()).rssBytes - before, accountBytes };
}

await runProgram(USAGE, main);
