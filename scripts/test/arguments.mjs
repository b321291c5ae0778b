import { parseArgs } from "node:util";

/** What a script was called with; ends it with a line that says what is wrong and what there is. */
export function argumentsOf(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    const names = Object.keys(config.options).map((name) => `--${name}`);
    console.error(`${error.message.split(". ")[0]}; options: ${names.join(", ")}`);
    process.exit(2);
  }
}
