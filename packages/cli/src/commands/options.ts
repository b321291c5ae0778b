import { type Command, InvalidArgumentError, Option } from "commander";
import type { Durability } from "fulmar";
import { CODECS, type CodecName } from "../values.js";

/** Options that every command which reads or writes entries has. */
export interface EntryOptions {
  readonly json?: true;
  readonly keyJson?: true;
  readonly codec: CodecName;
}

const DURABILITIES: readonly Durability[] = ["memory", "relaxed", "full"];

export function jsonOption(): Option {
  return new Option("--json", "print JSON, errors included");
}

/** Adds --json, --codec and --key-json. */
export function withEntryOptions(command: Command): Command {
  return command
    .addOption(jsonOption())
    .addOption(
      new Option("--codec <name>", "how values are stored; bytes are shown as base64")
        .choices(CODECS)
        .default("json"),
    )
    .option(
      "--key-json",
      'keys are JSON: ["user",1], 12, {"bytes":"<base64>"}, {"bigint":"12"}, {"number":"-0"}',
    );
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
