import { parseArgs } from "node:util";

export interface DemoArguments {
  /** Run unattended, check the result, exit. */
  readonly once: boolean;
  /** What is put into the first directory; a sample tree unless given. */
  readonly source: string | undefined;
  /** Where the temporary directory is made; the system's place for such unless given. */
  readonly base: string | undefined;
  readonly help: boolean;
}

export const USAGE = `Three nodes on this machine, each mirroring a directory to the others.

  npm start                            live: edit files in one directory, see them in the others; Ctrl-C ends
  npm start -- --once                  unattended: mirror, kill a node in mid-write, converge, compare every byte

  --source DIR   put a copy of this tree into the first directory (otherwise a sample tree)
  --base DIR     make the temporary directories in here
  --help         this text
`;

/** Throws a TypeError on arguments that do not exist. */
export function parseDemoArguments(args: readonly string[]): DemoArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: "boolean", default: false },
      source: { type: "string" },
      base: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return { once: values.once, source: values.source, base: values.base, help: values.help };
}
