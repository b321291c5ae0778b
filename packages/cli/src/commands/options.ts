import { type Command, InvalidArgumentError, Option } from "commander";
import type { Durability, RangeOptions } from "fulmar";
import { parseKey } from "../keys.js";
import { CODECS, type CodecName } from "../values.js";

/** Options that every command which reads or writes entries has. */
export interface EntryOptions {
  readonly json?: true;
  readonly keyJson?: true;
  readonly codec: CodecName;
  readonly namespace?: string;
}

const BOUNDS = ["prefix", "gt", "gte", "lt", "lte"] as const;

/** Options that choose a range of keys. */
export interface BoundOptions extends Partial<Record<(typeof BOUNDS)[number], string>> {
  readonly keyJson?: true;
}

const DURABILITIES: readonly Durability[] = ["memory", "relaxed", "full"];

export function jsonOption(): Option {
  return new Option("--json", "print JSON, errors included");
}

/** Adds --json, --codec, --key-json and --namespace. */
export function withEntryOptions(command: Command): Command {
  return command
    .addOption(jsonOption())
    .addOption(
      new Option("--codec <name>", "how values are stored; bytes are shown as base64, bigints as digits")
        .choices(CODECS)
        .default("json"),
    )
    .addOption(keyJsonOption())
    .addOption(namespaceOption());
}

export function namespaceOption(): Option {
  return new Option("--namespace <name>", "the keys of this namespace instead of those outside of any");
}

export function keyJsonOption(): Option {
  const kinds = '["user",1], 12, {"bytes":"<base64>"}, {"bigint":"12"}, {"number":"-0"}';
  return new Option("--key-json", `keys are JSON: ${kinds}`);
}

/** Adds --prefix, --gt, --gte, --lt and --lte. */
export function withBounds(command: Command): Command {
  return command
    .option("--prefix <key>", "strings that begin so; with --key-json, tuples that begin with these elements")
    .option("--gt <key>", "keys above")
    .option("--gte <key>", "keys from, this one included")
    .option("--lt <key>", "keys below")
    .option("--lte <key>", "keys up to, this one included");
}

export function boundsOf(options: BoundOptions): RangeOptions {
  const bounds = BOUNDS.flatMap((name) => {
    const text = options[name];
    return text === undefined ? [] : [[name, parseKey(text, options.keyJson === true)] as const];
  });
  return Object.fromEntries(bounds);
}

export function durabilityOption(): Option {
  return new Option("--durability <level>", "when a write counts as done")
    .choices(DURABILITIES)
    .default("full");
}

/** A whole number from `least` up. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= least) return number;
    throw new InvalidArgumentError(`It must be a whole number, ${least} at least.`);
  };
}
